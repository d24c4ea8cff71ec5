"""What an inverse dynamics model is shown of a batch: in training disturbed, in validation as it is."""

from collections.abc import Callable, Mapping
from typing import Protocol

import torch
from torch import Tensor

from eva_rl.config.pretraining import IdmTrainingSettings
from eva_rl.embodiments.mirroring import Mirror
from eva_rl.idm.augmentation import (
    with_latent_noise,
    with_mirrored_clips,
    with_pixel_noise,
    with_replaced_clips,
)
from eva_rl.pretraining.clips import Batch
from eva_rl.world_model.latent_codec import LatentCodec

NOISY_RECONSTRUCTION_SHARE = 0.7
"""Share of reconstructions that get latent noise; the others show the codec's own loss alone."""


class ClipInputs(Protocol):
    """Turns batches of clips into what a kind of model reads."""

    def disturbed(self, batch: Batch, *, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Inputs and actions of one training batch, augmented."""
        ...

    @property
    def views(self) -> Mapping[str, Callable[[Batch], Tensor]]:
        """Inputs of a held-out batch, by prefix of the metrics; every view counts the same."""
        ...


class FrameInputs:
    """Frames; some of them mirrored, some reconstructed from noisy latents, all with pixel noise.

    Args:
        settings: strength of the augmentation.
        codec: reconstructs clips; None trains on recorded frames alone.
        mirror: of the robot; None where nothing is mirrored.
    """

    def __init__(
        self, settings: IdmTrainingSettings, *, codec: LatentCodec | None, mirror: Mirror | None
    ) -> None:
        self._settings, self._codec, self._mirror = settings, codec, mirror

    def disturbed(self, batch: Batch, *, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Inputs and actions of one training batch, augmented."""
        settings, frames, actions = self._settings, _to_unit_range(batch["frames"]), batch["actions"]
        if self._codec is not None:
            latents = with_latent_noise(
                self._codec.encode_frames(batch["frames"]),
                share=NOISY_RECONSTRUCTION_SHARE,
                max_std=settings.latent_noise,
                generator=generator,
            )
            with torch.no_grad():
                reconstructed = self._codec.decode(latents)
            share = settings.reconstruction_share
            frames = with_replaced_clips(frames, reconstructed, probability=share, generator=generator)
        if self._mirror is not None:
            share = settings.mirrored_share
            frames, actions = with_mirrored_clips(
                frames, actions, mirror=self._mirror, probability=share, generator=generator
            )
        return with_pixel_noise(frames, generator=generator), actions

    @property
    def views(self) -> Mapping[str, Callable[[Batch], Tensor]]:
        """Recorded frames, and their plain reconstructions where there is a codec."""
        codec = self._codec
        if codec is None:
            return {"": _recorded}
        return {
            "": _recorded,
            "reconstructed_": lambda batch: codec.decode(codec.encode_frames(batch["frames"])),
        }


class LatentInputs:
    """Latents of the encoding stage; some with noise, as imagined ones have errors.

    Args:
        settings: strength of the augmentation.
    """

    def __init__(self, settings: IdmTrainingSettings) -> None:
        self._settings = settings

    def disturbed(self, batch: Batch, *, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Inputs and actions of one training batch, augmented."""
        settings = self._settings
        latents = with_latent_noise(
            batch["latents"],
            share=NOISY_RECONSTRUCTION_SHARE * settings.reconstruction_share,
            max_std=settings.latent_noise,
            generator=generator,
        )
        return latents, batch["actions"]

    @property
    def views(self) -> Mapping[str, Callable[[Batch], Tensor]]:
        """Latents of recorded frames."""
        return {"": lambda batch: batch["latents"]}


def _recorded(batch: Batch) -> Tensor:
    return _to_unit_range(batch["frames"])


def _to_unit_range(frames: Tensor) -> Tensor:
    """[clips, frames, height, width, 3] uint8 -> [clips, frames, 3, height, width] in [-1, 1]."""
    return frames.permute(0, 1, 4, 2, 3).float() / 127.5 - 1.0
