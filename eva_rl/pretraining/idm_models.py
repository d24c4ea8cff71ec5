"""The inverse dynamics model that a job's settings describe, before it has learned anything."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import torch

from eva_rl.config.pretraining import IdmSettings
from eva_rl.config.section import ConfigError
from eva_rl.data.statistics import ActionStatistics
from eva_rl.embodiments.table import EMBODIMENTS
from eva_rl.idm.kinds import IDM_KINDS, AnyArchitecture, AnyIdm
from eva_rl.idm.normalization import STD_FLOOR
from eva_rl.idm.resnet_plus import RESNET_PLUS_KIND

SIZES = (
    "channels",
    "num_keypoints",
    "frame_features",
    "window_features",
    "window_frames",
    "mask_channels",
    "mask_penalty",
    "width",
    "input_size",
    "window_offset_s",
)
"""Fields of IdmTrainingSettings that some architectures have and others have not."""


@dataclass(frozen=True, kw_only=True)
class Latents:
    """What a latent model has to know of the latents that it will read.

    Attributes:
        shape: channels, latent frames, height and width of a clip's.
        codec: hash of the codec they come from.
    """

    shape: tuple[int, int, int, int]
    codec: str


def reads_latents(settings: IdmSettings) -> bool:
    """Whether the settings' kind of model is given latents instead of frames."""
    return IDM_KINDS[settings.idm.kind].model.reads == "latents"


def given_sizes(settings: IdmSettings) -> dict[str, Any]:
    """The sizes that the settings name; the others are the kind's own.

    Raises:
        ConfigError: a size is given that the kind does not have.
    """
    known = {field.name for field in fields(IDM_KINDS[settings.idm.kind].architecture)}
    given = {name: value for name in SIZES if (value := getattr(settings.idm, name)) is not None}
    if foreign := sorted(given.keys() - known):
        raise ConfigError(
            [f"idm.{name}: idm.kind = {settings.idm.kind} has no such size; leave it out" for name in foreign]
        )
    return given


def architecture_of(settings: IdmSettings, latents: Latents | None = None) -> AnyArchitecture:
    """The network's sizes, from the robot, the clips and the settings.

    Args:
        settings: all settings of the recipe.
        latents: of the encoded clips, for a kind that reads them.

    Raises:
        ConfigError: a size is given that the kind does not have, or that it cannot have.
    """
    kind = IDM_KINDS[settings.idm.kind]
    embodiment = EMBODIMENTS[settings.robot.embodiment]
    given = given_sizes(settings)
    sizes = {
        "num_dimensions": embodiment.dimension,
        "gripper_dimensions": embodiment.gripper_indices,
        "frame_period_s": settings.video.frame_period_s,
        **_clip_sizes(settings, latents),
        **given,
    }
    try:
        return kind.architecture(**sizes)
    except ValueError as error:
        raise ConfigError([f"idm.kind = {settings.idm.kind}: {error}"]) from error


def new_idm(architecture: AnyArchitecture, settings: IdmSettings, statistics: ActionStatistics) -> AnyIdm:
    """An untrained model with random weights, its joints in units of the recorded ones.

    Args:
        architecture: of the kind that the settings name.
        settings: kind, and the seed that draws the weights.
        statistics: of the drive targets in the training episodes.
    """
    with torch.random.fork_rng(devices=[]):  # layers draw their weights from the global generator
        torch.manual_seed(settings.run.seed)
        build: Any = IDM_KINDS[settings.idm.kind].model
        model: AnyIdm = build(architecture)
    model.set_normalization(
        mean=torch.tensor(statistics.mean, dtype=torch.float32),
        std=torch.tensor(statistics.std, dtype=torch.float32).clamp_min(STD_FLOOR),
    )
    return model


def _clip_sizes(settings: IdmSettings, latents: Latents | None) -> Mapping[str, object]:
    """What the clips themselves say."""
    video = settings.video
    if latents is not None:
        channels, num_latent_frames, height, width = latents.shape
        return {
            "codec": latents.codec,
            "latent_channels": channels,
            "latent_height": height,
            "latent_width": width,
            "frames_per_latent": (video.num_frames - 1) // (num_latent_frames - 1),
        }
    if settings.idm.kind == RESNET_PLUS_KIND:
        return {"window_offset_s": video.frame_period_s}
    return {"height": video.height, "width": video.width}
