"""The frozen models behind an evaluation: imagining, encoding, reading joints."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from eva_rl.config.align import AlignSettings
from eva_rl.evaluation.pixels import to_pixels
from eva_rl.idm.kinds import AnyIdm, check_codec, open_idm, read_generated, read_recorded
from eva_rl.records.adapter import AdapterWeights
from eva_rl.records.condition import Condition, ConditionTensors
from eva_rl.rl.sampler import GroupNoise, sample_groups
from eva_rl.rl.seeds import rollout_seed
from eva_rl.world_model import WorldModel
from eva_rl.world_model.adapter_io import write_adapter
from eva_rl.world_model.conditionings import given_video_frames
from eva_rl.world_model.guidance import guided_flow_velocity
from eva_rl.world_model.layout import read_layout
from eva_rl.world_model.lora import attach_adapter, reference_policy
from eva_rl.world_model.part_hashes import hash_codec

NOT_TRAINING = -1  # in place of a training step: evaluation noise never meets a training batch's


class EvaluationModels:
    """World model and inverse dynamics model, each opened when it is first needed.

    Args:
        settings: of the run.
        world_model_directory: pipeline directory, the one that is aligned.
        idm_directory: inverse dynamics model.
    """

    def __init__(
        self, settings: AlignSettings, world_model_directory: str | Path, *, idm_directory: str | Path
    ) -> None:
        self._settings = settings
        self._world_model_directory = world_model_directory
        self._idm_directory = idm_directory
        self._has_adapter = False

    @cached_property
    def given_video_frames(self) -> int:
        """Recorded frames that the world model is given; the directory says so, no weight is loaded."""
        return given_video_frames(read_layout(self._world_model_directory, self._settings.world_model))

    @cached_property
    def world_model(self) -> WorldModel:
        """The world model with its text encoder."""
        dtype = getattr(torch, self._settings.world_model.precision)
        device = "cuda" if torch.cuda.is_available() and self._settings.evaluation.num_gpus else "cpu"
        return WorldModel.from_directory(
            self._world_model_directory,
            dtype=dtype,
            with_text_encoder=True,
            device=device,
            settings=self._settings.world_model,
        )

    @cached_property
    def idm(self) -> AnyIdm:
        """The inverse dynamics model; refused if made for another frame rate or codec."""
        idm = open_idm(self._idm_directory)
        idm.architecture.check_frame_period(self._settings.video.frame_period_s)
        check_codec(idm, lambda: hash_codec(self._world_model_directory))
        return idm.to(self.world_model.device)

    @torch.no_grad()
    def imagine(
        self, conditions: Sequence[Condition], adapter: AdapterWeights | None, *, draw: int = 0
    ) -> Float[Tensor, "B C F h w"]:
        """Imagines one clip per condition, deterministically, with the sampler's number of steps.

        The training sampler without its stochastic steps, so the flow's ODE in Euler steps. The initial noise
        depends on the run's seed and the condition only: equal before and after alignment, so differences
        between the two are the policy's.

        Args:
            conditions: what to imagine from.
            adapter: of the policy; None for the base policy.
            draw: number of the clip among several of one condition; each has noise of its own.

        Returns:
            Normalised latents.
        """
        model, sampling = self.world_model, self._settings.sampling
        tensors = model.encode_conditions(
            conditions,
            with_empty_text=sampling.guidance > 1,
            with_history_noise=sampling.history_guidance > 0,
        )
        noise = self._noise(conditions, tensors, draw=draw)

        def flow_velocity(latents: Tensor, sigma: float) -> Tensor:
            return guided_flow_velocity(model, latents, sigma, tensors, sampling=sampling)

        with self._policy(adapter):
            groups = sample_groups(
                flow_velocity,
                noise,
                sigmas=model.sigmas(sampling.num_steps),
                kernel="ode",
                noise_level=0.0,
                free_frames=model.free_frames(noise.initial[:, 0]),
            )
        return torch.cat([group.final_latents for group in groups])

    @torch.no_grad()
    def decode(self, latents: Float[Tensor, "B C F h w"]) -> Float[Tensor, "B T 3 H W"]:
        """Frames in [-1, 1] of imagined clips."""
        return self.world_model.decode(latents)

    @torch.no_grad()
    def round_trip(self, frames: Float[Tensor, "B T 3 H W"]) -> Float[Tensor, "B T 3 H W"]:
        """Encodes and decodes frames in [-1, 1]: what the codec alone loses."""
        return self.world_model.decode(self.world_model.encode_frames(to_pixels(frames)))

    @torch.no_grad()
    def read_positions(self, frames: Float[Tensor, "B T 3 H W"]) -> Float[Tensor, "B T D"]:
        """Reads executable positions from frames in [-1, 1]; on the CPU, rad (grippers 0 or 1).

        A model that reads latents has the frames encoded first.
        """

        def encode(frames: Tensor) -> Tensor:
            return self.world_model.encode_frames(to_pixels(frames))

        return read_recorded(self.idm, frames.to(self.world_model.device), encode=encode).cpu()

    @torch.no_grad()
    def read_imagined(self, latents: Float[Tensor, "B C F h w"]) -> Float[Tensor, "B T D"]:
        """The same from imagined clips, decoded only for a model that reads frames."""
        return read_generated(self.idm, latents, decode=self.world_model.decode).cpu()

    def _noise(self, conditions: Sequence[Condition], tensors: ConditionTensors, *, draw: int) -> GroupNoise:
        """The initial noise with the given frames in place: groups of one, no stochastic step."""
        video, run_seed = self._settings.video, self._settings.run.seed
        drawn = GroupNoise.draw(
            self.world_model.latent_shape(video.num_frames, video.height, video.width),
            1,
            seeds=[
                rollout_seed(run_seed, NOT_TRAINING, condition_id=condition.condition_id, index=draw)
                for condition in conditions
            ],
            stochastic_steps=(),
            shares_prefix=True,
            antithetic=False,
        )
        latents = drawn.initial[:, 0].to(tensors.given_latents)
        return GroupNoise(initial=self.world_model.impose_given(latents, tensors)[:, None], steps={})

    @contextmanager
    def _policy(self, adapter: AdapterWeights | None) -> Iterator[None]:
        """Makes the transformer the base policy or the one of an adapter."""
        transformer = self.world_model.transformer
        if adapter is not None:
            if not self._has_adapter:
                sizes = self._settings.adapter
                attach_adapter(
                    transformer,
                    rank=sizes.rank,
                    alpha=sizes.alpha,
                    target_modules=sizes.target_modules,
                    experts=sizes.experts,
                    seed=self._settings.run.seed,
                )
                self._has_adapter = True
            write_adapter(transformer, adapter)
            yield
        elif self._has_adapter:
            with reference_policy(transformer):
                yield
        else:
            yield
