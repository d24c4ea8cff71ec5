"""The ladder: where executed motion may come from, from the expert's own targets to the world model.

Each rung adds one source of error to the one before: what a lower rung loses is no fault of the world model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from eva_rl.evaluation.pixels import to_frames
from eva_rl.records.adapter import AdapterWeights

if TYPE_CHECKING:  # reports read the names of the rungs without loading a simulator or a model
    from eva_rl.evaluation.held_out import PreparedScene
    from eva_rl.evaluation.models import EvaluationModels

POLICY_RUNG = "world_model"
"""The rung whose motion is imagined: it goes on clip after clip; the others are given motions."""


class PositionSource(Protocol):
    """Finds what to execute on a rung; every row of RUNGS has this signature."""

    def __call__(
        self, scenes: Sequence[PreparedScene], models: EvaluationModels, adapter: AdapterWeights | None
    ) -> Float[Tensor, "B T D"]:
        """Returns positions, rad (grippers 0..1).

        Args:
            scenes: evaluated together.
            models: frozen models of the run.
            adapter: policy of the rungs that have one; None is the base policy.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class Rung:
    """One source of executed motion.

    Attributes:
        name: key of RUNGS.
        label: as people read it.
        meaning: what a failure on this rung, and not on the one below, says.
        positions: scenes -> positions to execute, rad (grippers 0..1).
    """

    name: str
    label: str
    meaning: str
    positions: PositionSource


def _expert_targets(
    scenes: Sequence[PreparedScene], models: EvaluationModels, adapter: AdapterWeights | None
) -> Float[Tensor, "B T D"]:
    return torch.from_numpy(np.stack([scene.expert_actions for scene in scenes])).float()


def _read_real_video(
    scenes: Sequence[PreparedScene], models: EvaluationModels, adapter: AdapterWeights | None
) -> Float[Tensor, "B T D"]:
    return models.read_positions(_real_frames(scenes))


def _read_round_trip(
    scenes: Sequence[PreparedScene], models: EvaluationModels, adapter: AdapterWeights | None
) -> Float[Tensor, "B T D"]:
    return models.read_positions(models.round_trip(_real_frames(scenes)))


def _read_imagined_video(
    scenes: Sequence[PreparedScene], models: EvaluationModels, adapter: AdapterWeights | None
) -> Float[Tensor, "B T D"]:
    return models.read_imagined(models.imagine([scene.condition for scene in scenes], adapter))


def _real_frames(scenes: Sequence[PreparedScene]) -> Float[Tensor, "B T 3 H W"]:
    return to_frames(np.stack([scene.real_frames for scene in scenes]))


_ROWS = (
    Rung(
        name="expert",
        label="expert's targets",
        meaning="targets of the expert or the demonstration: a failure is the simulator's or the task's",
        positions=_expert_targets,
    ),
    Rung(
        name="idm_on_real_video",
        label="read from real video",
        meaning="targets that the inverse dynamics model reads from real video: a failure is its own",
        positions=_read_real_video,
    ),
    Rung(
        name="codec_round_trip",
        label="read after the codec",
        meaning="the same after encoding and decoding the video: a failure is the codec's",
        positions=_read_round_trip,
    ),
    Rung(
        name="world_model",
        label="read from imagined video",
        meaning="targets read from imagined video: a failure is the world model's",
        positions=_read_imagined_video,
    ),
)

RUNGS: dict[str, Rung] = {row.name: row for row in _ROWS}
"""The rungs, from the ground up."""
