"""Turns conditions into the tensors that the network is given: codec, text and image encoder, run once."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor

from eva_rl.config.models import WorldModelSettings
from eva_rl.records.condition import Condition, ConditionTensors
from eva_rl.world_model.conditioning import Conditioning
from eva_rl.world_model.conditionings import conditioning_of, given_video_frames
from eva_rl.world_model.directory import open_pipeline
from eva_rl.world_model.latent_codec import LatentCodec
from eva_rl.world_model.layout import Layout, read_layout

MAX_TEXT_TOKENS = 512  # what Wan's own networks were trained with


class ConditionEncoder:
    """The frozen encoders of a world model; no role needs them once the conditions are encoded.

    Args:
        pipeline: opened with encoders where conditions or text are to be encoded.
        layout: of its directory.
        codec: the pipeline's.

    Attributes:
        max_text_tokens: length that instructions are padded to; None without a tokenizer.
    """

    def __init__(self, pipeline: Any, layout: Layout, *, codec: LatentCodec) -> None:
        self._pipeline = pipeline
        self._layout = layout
        self._conditioning: Conditioning = conditioning_of(layout)
        self.codec = codec
        tokenizer = pipeline.tokenizer
        limit = min(tokenizer.model_max_length, MAX_TEXT_TOKENS) if tokenizer else None
        # diffusers' attention with an image branch takes the last 512 tokens as the text, whatever there is
        self.max_text_tokens = MAX_TEXT_TOKENS if tokenizer and layout.has_image_branch else limit

    @classmethod
    def from_directory(
        cls,
        directory: str | Path,
        *,
        dtype: torch.dtype = torch.float32,
        device: str | torch.device = "cpu",
        settings: WorldModelSettings | None = None,
    ) -> Self:
        """Opens the encoders of a pipeline directory without the networks that imagine.

        Raises:
            FileNotFoundError: if the directory is no pipeline directory.
            ValueError: if its conditioning is not supported.
        """
        layout = read_layout(directory, settings)
        pipeline = open_pipeline(layout.directory, dtype=dtype, with_encoders=True, with_transformer=False)
        codec = LatentCodec(pipeline.vae, device=device, settings=settings)
        for encoder in (pipeline.text_encoder, pipeline.image_encoder):
            if encoder is not None:
                encoder.to(device)
        return cls(pipeline, layout, codec=codec)

    @torch.no_grad()
    def encode(
        self,
        conditions: Sequence[Condition],
        *,
        with_empty_text: bool = False,
        with_history_noise: bool = False,
        clip_latents: Float[Tensor, "B C F h w"] | None = None,
    ) -> ConditionTensors:
        """Encodes a batch of conditions.

        Args:
            conditions: with frames of the size the codec takes.
            clip_latents: latents of the recorded clips that the conditions are the starts of, where they are
                known: the given frames are theirs.
            with_empty_text: whether to embed an empty instruction too, for guided rollouts.
            with_history_noise: whether to draw what guidance by history puts in the history's place.

        Raises:
            ValueError: if a condition has fewer given frames than the conditioning takes, or if history noise
                is asked of a conditioning without history.
        """
        num_given = self._conditioning.num_given_frames
        given_latents = (
            self._given_latents(conditions) if clip_latents is None else clip_latents[:, :, :num_given]
        )
        if with_history_noise and not self._conditioning.has_history:
            raise ValueError(
                f"sampling.history_guidance needs conditioning history_forcing, but {self._layout.directory} "
                "has another: set sampling.history_guidance to 0"
            )
        text = self.encode_text([condition.instruction for condition in conditions])
        first_frames = np.stack([condition.first_frame for condition in conditions])
        condition_latents = None
        if self._conditioning.has_condition_latents:
            frames = torch.from_numpy(first_frames[:, None])
            condition_latents = self.codec.encode_with_grey(frames, num_frames=conditions[0].num_frames)
        return ConditionTensors(
            given_latents=given_latents,
            text=text,
            empty_text=self.encode_text([""]).expand(len(text), -1, -1) if with_empty_text else None,
            condition_latents=condition_latents,
            image=self.encode_images(first_frames) if self._layout.has_image_branch else None,
            history_noise=_history_noise(conditions, given_latents) if with_history_noise else None,
        )

    @torch.no_grad()
    def encode_text(self, instructions: Sequence[str]) -> Float[Tensor, "B tokens dim"]:
        """Embeds instructions exactly as the pipeline does, zeros after the end token.

        Raises:
            ValueError: if the text encoder was not loaded or an instruction would be cut.
        """
        pipeline, limit = self._pipeline, self.max_text_tokens
        if pipeline.text_encoder is None or limit is None:
            raise ValueError("encode_text needs WorldModel.from_directory(..., with_text_encoder=True)")
        for instruction in instructions:
            num_tokens = len(pipeline.tokenizer(instruction).input_ids)
            if num_tokens > limit:
                raise ValueError(
                    f"instruction {instruction!r} has {num_tokens} tokens, but max_text_tokens is {limit}"
                )
        text, _ = pipeline.encode_prompt(
            list(instructions),
            do_classifier_free_guidance=False,
            max_sequence_length=limit,
            device=pipeline.text_encoder.device,
        )
        return text

    @torch.no_grad()
    def encode_images(self, frames: UInt8[np.ndarray, "B H W 3"]) -> Float[Tensor, "B patches dim"]:
        """Features of the first frames for the image branch: CLIP's last hidden states but one.

        Raises:
            ValueError: if the image encoder was not loaded.
        """
        if self._pipeline.image_encoder is None:
            raise ValueError(
                f"the transformer of {self._layout.directory} takes image features: open the directory with "
                "its encoders, and with an image_encoder in it"
            )
        images = [Image.fromarray(frame) for frame in frames]
        return self._pipeline.encode_image(images, device=self._pipeline.image_encoder.device)

    def _given_latents(self, conditions: Sequence[Condition]) -> Float[Tensor, "B C given h w"]:
        """Latents of the given frames; none of them where every frame is free."""
        num_given = self._conditioning.num_given_frames
        num_frames = given_video_frames(self._layout)
        frames = [
            condition.first_frame[None] if condition.history is None else condition.history
            for condition in conditions
        ]
        short = [
            item.condition_id
            for item, given in zip(conditions, frames, strict=True)
            if len(given) < num_frames
        ]
        if short:
            raise ValueError(
                f"history_latent_frames = {num_given} takes {num_frames} given video frames, but "
                f"{short[0]} has fewer: give conditions a longer history, or take 1 latent frame"
            )
        given = torch.from_numpy(np.stack([frame[:num_frames] for frame in frames]))
        return self.codec.encode_frames(given)[:, :, :num_given]


def _history_noise(conditions: Sequence[Condition], given_latents: Tensor) -> Tensor:
    """One noise per condition, from its identity alone: sampler, learner and evaluation use the same."""
    noise = []
    for condition in conditions:
        digest = hashlib.sha256(f"history noise {condition.condition_id}".encode()).digest()
        generator = torch.Generator().manual_seed(int.from_bytes(digest[:7], "big"))
        noise.append(torch.randn(given_latents.shape[1:], generator=generator))
    return torch.stack(noise).to(given_latents)
