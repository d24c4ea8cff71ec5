"""The video world model: a diffusers Wan directory behind the few calls that learning needs."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import torch
from diffusers import WanImageToVideoPipeline, WanTransformer3DModel
from jaxtyping import Bool, Float, UInt8
from torch import Tensor, nn

from eva_rl.world_model.conditioning import free_frames, impose_first_frame, token_timesteps
from eva_rl.world_model.directory import check_conditioning, open_pipeline, quiet_loading, schedule_shift
from eva_rl.world_model.latent_codec import LatentCodec
from eva_rl.world_model.schedule import shifted

MAX_TEXT_TOKENS = 512  # what Wan's own networks were trained with


class WorldModel:
    """Imagines clips from a first frame and an instruction.

    It holds diffusers' own pipeline and calls its parts; nothing in it depends on the model's size. The
    policy is `transformer`; codec and text encoder are frozen. Latents are normalised, as the transformer
    sees them.

    Attributes:
        pipeline: the opened `WanImageToVideoPipeline`.
        transformer: the network that learns.
        directory: where it was opened from.
        max_text_tokens: length that instructions are padded to.
    """

    def __init__(self, pipeline: WanImageToVideoPipeline, *, directory: Path) -> None:
        check_conditioning(pipeline, directory)
        self.pipeline = pipeline
        self.directory = directory
        self.transformer: WanTransformer3DModel = pipeline.transformer
        self.codec = LatentCodec(pipeline.vae)
        tokenizer = pipeline.tokenizer
        self.max_text_tokens = min(tokenizer.model_max_length, MAX_TEXT_TOKENS) if tokenizer else None

    @classmethod
    def from_directory(
        cls,
        directory: str | Path,
        *,
        dtype: torch.dtype = torch.float32,
        with_text_encoder: bool = False,
        device: str | torch.device = "cpu",
    ) -> Self:
        """Opens a Wan pipeline directory of the TI2V kind (`expand_timesteps`), Wan2.2-TI2V-5B included.

        Args:
            directory: local directory with `model_index.json`.
            dtype: of the transformer and the text encoder; the codec stays in float32.
            with_text_encoder: whether to load the text encoder too; most roles get embeddings instead.
            device: where the networks live.

        Raises:
            FileNotFoundError: if the directory is no pipeline directory.
            ValueError: if its conditioning is not first-frame forcing.
        """
        directory = Path(directory)
        pipeline = open_pipeline(directory, dtype=dtype, with_text_encoder=with_text_encoder)
        return cls(pipeline.to(device), directory=directory)

    def save(self, directory: str | Path) -> None:
        """Writes a complete pipeline directory: the current transformer, everything else as it was opened.

        Raises:
            ValueError: if an adapter is attached; `export_adapter` writes that.
        """
        if getattr(self.transformer, "peft_config", None):
            raise ValueError(
                "an adapter is attached: export_adapter writes it, the base lies in its directory"
            )
        directory = Path(directory)
        if directory.resolve() != self.directory.resolve():
            ignore = shutil.ignore_patterns("transformer")
            shutil.copytree(self.directory, directory, ignore=ignore, dirs_exist_ok=True)
        with quiet_loading():
            self.pipeline.transformer.save_pretrained(directory / "transformer")

    @property
    def device(self) -> torch.device:
        """Where the transformer lives."""
        return self.pipeline.transformer.device

    def sigmas(self, num_steps: int) -> tuple[float, ...]:
        """The `num_steps + 1` noise levels of an inference schedule, from 1 to 0.

        Evenly spaced levels under the shift of the directory's own scheduler, as in Wan's own sampler
        (`get_sampling_sigmas`, Wan-Video/Wan2.2 `wan/utils/fm_solvers.py`).

        Raises:
            ValueError: if there is not at least one step.
        """
        if num_steps < 1:
            raise ValueError(f"num_steps must be at least 1, got {num_steps}")
        levels = 1.0 - torch.arange(num_steps + 1, dtype=torch.float64) / num_steps
        return tuple(shifted(levels, shift=schedule_shift(self.pipeline.scheduler)).tolist())

    def latent_shape(self, num_frames: int, height: int, width: int) -> tuple[int, int, int, int]:
        """Channels, latent frames, height and width of the latents of one clip.

        Raises:
            ValueError: if codec or transformer cannot take clips of that size.
        """
        config, patch = self.pipeline.vae.config, self.pipeline.transformer.config.patch_size
        group, side = config.scale_factor_temporal, config.scale_factor_spatial
        if num_frames % group != 1:
            below = (num_frames - 1) // group * group + 1
            raise ValueError(
                f"video.num_frames must be {group}k+1 for this codec, got {num_frames}; "
                f"nearest are {below} and {below + group}"
            )
        for name, size, step in (("height", height, side * patch[1]), ("width", width, side * patch[2])):
            if size % step:
                raise ValueError(f"video.{name} must be a multiple of {step} for this model, got {size}")
        return config.z_dim, (num_frames - 1) // group + 1, height // side, width // side

    def encode_frames(self, frames: UInt8[Tensor, "B T H W 3"]) -> Float[Tensor, "B C F h w"]:
        """Encodes frames to normalised latents; see `LatentCodec.encode_frames`."""
        return self.codec.encode_frames(frames)

    def decode(self, latents: Float[Tensor, "B C F h w"]) -> Float[Tensor, "B T 3 H W"]:
        """Decodes normalised latents to frames in [-1, 1]; see `LatentCodec.decode`."""
        return self.codec.decode(latents)

    @torch.no_grad()
    def encode_text(self, instructions: Sequence[str]) -> Float[Tensor, "B tokens dim"]:
        """Embeds instructions exactly as the pipeline does, zeros after the end token.

        Raises:
            ValueError: if the text encoder was not loaded or an instruction would be cut.
        """
        pipeline, limit = self.pipeline, self.max_text_tokens
        if pipeline.text_encoder is None or limit is None:
            raise ValueError("encode_text needs WorldModel.from_directory(..., with_text_encoder=True)")
        for instruction in instructions:
            num_tokens = len(pipeline.tokenizer(instruction).input_ids)
            if num_tokens > limit:
                raise ValueError(
                    f"instruction {instruction!r} has {num_tokens} tokens, but max_text_tokens is {limit}"
                )
        text, _ = pipeline.encode_prompt(
            list(instructions), do_classifier_free_guidance=False, max_sequence_length=limit
        )
        return text

    def flow_velocity(
        self,
        latents: Float[Tensor, "B C F h w"],
        sigma: float | Float[Tensor, " B"],
        first_latents: Float[Tensor, "b C 1 h w"],
        text: Float[Tensor, "b tokens dim"],
        *,
        network: nn.Module | None = None,
    ) -> Float[Tensor, "B C F h w"]:
        """The flow velocity d latents / d sigma; 0 on the given first frame.

        Args:
            latents: [batch, channels, latent frames, height, width], at noise level `sigma`.
            sigma: noise level, 0..1; one for all clips or [batch].
            first_latents: [batch or 1, channels, 1, height, width], clean latents of the given frame.
            text: [batch or 1, tokens, dim], text embeddings.
            network: called instead of the transformer, e.g. a DeepSpeed engine or DDP wrapped around it.
        """
        batch = latents.shape[0]
        dtype = self.pipeline.transformer.dtype
        sigma = torch.as_tensor(sigma, dtype=torch.float32, device=latents.device).expand(batch)
        patch_size = self.pipeline.transformer.config.patch_size
        (flow_velocity,) = (network or self.transformer)(
            hidden_states=impose_first_frame(latents, first_latents).to(dtype),
            timestep=token_timesteps(sigma, latents.shape[2:], patch_size=patch_size),
            encoder_hidden_states=text.to(dtype).expand(batch, -1, -1),
            return_dict=False,
        )
        return torch.where(self.free_frames(latents), flow_velocity.to(latents.dtype), 0.0)

    def impose_first_frame(
        self, latents: Float[Tensor, "B C F h w"], first_latents: Float[Tensor, "b C 1 h w"]
    ) -> Float[Tensor, "B C F h w"]:
        """Replaces the first latent frame by the given clean one."""
        return impose_first_frame(latents, first_latents)

    def free_frames(self, latents: Float[Tensor, "B C F h w"]) -> Bool[Tensor, "1 1 F 1 1"]:
        """True for the latent frames that the policy chooses, False for the given first one."""
        return free_frames(latents.shape[2], device=latents.device)
