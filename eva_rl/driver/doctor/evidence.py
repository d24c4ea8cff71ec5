"""What the doctor's checks judge by: one record per thing that is looked at."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from eva_rl.config.align import AlignSettings
from eva_rl.records.adapter import AdapterVersion
from eva_rl.rewards.reward import KinematicReward


@dataclass(frozen=True, kw_only=True)
class RewardEvidence:
    """The run's reward, and motions that were recorded.

    Attributes:
        reward: of the settings.
        positions: recorded drive targets, rad (grippers 0..1).
    """

    reward: KinematicReward
    positions: Float[Tensor, "clips frames dimensions"]


@dataclass(frozen=True, kw_only=True)
class ReadingEvidence:
    """What the inverse dynamics model reads from recorded video.

    Attributes:
        decoded, recorded: positions, rad (grippers 0..1).
        gripper_dimensions: which of them are grippers.
        card_rmse_rad: error on held-out clips that the model's card states; None without a card.
    """

    decoded: Float[Tensor, "clips frames dimensions"]
    recorded: Float[Tensor, "clips frames dimensions"]
    gripper_dimensions: Sequence[int]
    card_rmse_rad: float | None


@dataclass(frozen=True, kw_only=True)
class RatioEvidence:
    """Rollouts of the live generator, replayed by the policy that learns.

    Attributes:
        max_deviation: largest |ratio - 1|; None where the algorithm forms no ratio.
        settings: of the run; clip range and precision decide how much is allowed.
    """

    max_deviation: float | None
    settings: AlignSettings


@dataclass(frozen=True, kw_only=True)
class StepEvidence:
    """The first training step.

    Attributes:
        versions: adapter in each rank's network afterwards; empty if the step did not end.
        conditions: ids of the conditions that each rank learned from; empty where that is not known.
        problem: why the step did not end.
    """

    versions: Sequence[AdapterVersion]
    conditions: Sequence[Sequence[str]] = ()
    problem: str = ""


@dataclass(frozen=True, kw_only=True)
class UpdateEvidence:
    """The learner's first update beside that of plain torch AdamW on the same rollouts.

    Attributes:
        before, after, plain: the adapter, all tensors flat.
        precision: of the adapter's weights.
    """

    before: NDArray[np.float32]
    after: NDArray[np.float32]
    plain: NDArray[np.float32]
    precision: torch.dtype


@dataclass(frozen=True, kw_only=True)
class PushEvidence:
    """What became of three pushes of an adapter to a generator.

    Attributes:
        pushed: version of the adapter that was sent.
        arrived: version that the generator's next rollout names.
        corrupted: version that it names after a push whose bytes were altered; None if it was refused.
        withheld: version that it names after a push that was never delivered.
        withheld_pushed: version of that one.
        withheld_is_learned: whether the learner took rollouts of the old adapter, which it must not; None
            where no learner was asked.
    """

    pushed: AdapterVersion
    arrived: AdapterVersion
    corrupted: AdapterVersion | None
    withheld: AdapterVersion
    withheld_pushed: AdapterVersion
    withheld_is_learned: bool | None = None
