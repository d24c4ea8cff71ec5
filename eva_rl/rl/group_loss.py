"""What every loss of this package returns for one group."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class GroupLoss:
    """Loss of one group and how far the update went.

    Example:
        GroupLoss(loss=tensor(-0.0012), policy_loss=tensor(-0.0013), kl=tensor(0.02),
                  clip_fraction=tensor(0.0), max_abs_log_ratio=tensor(2e-7))

    Attributes:
        loss: what is minimised, distance to the reference included; the only entry that carries a gradient.
        policy_loss: the part that the rewards decide, before any step weight.
        kl: mean distance to the reference, before its weight; 0 without a reference.
        clip_fraction: share of the ratios that left the trust region, 0 without one; None where the loss
            forms no ratio.
        max_abs_log_ratio: about 0 at the first replay; more says that the replay is not the rollout. None
            where the loss forms no ratio.
    """

    loss: Float[Tensor, ""]
    policy_loss: Float[Tensor, ""]
    kl: Float[Tensor, ""]
    clip_fraction: Float[Tensor, ""] | None = None
    max_abs_log_ratio: Float[Tensor, ""] | None = None


def measure_ratios(losses: Sequence[GroupLoss]) -> dict[str, Float[Tensor, ""]]:
    """How far the importance ratios of several groups went; empty where the loss forms none.

    Returns:
        clip_fraction: mean over groups.
        max_ratio_deviation: largest ratio - 1 over all groups, of the ratio farthest from 1 in its logarithm.
    """
    fractions = [loss.clip_fraction for loss in losses if loss.clip_fraction is not None]
    logarithms = [loss.max_abs_log_ratio for loss in losses if loss.max_abs_log_ratio is not None]
    if not fractions or not logarithms:
        return {}
    return {
        "clip_fraction": torch.stack(fractions).mean(),
        "max_ratio_deviation": torch.stack(logarithms).max().expm1(),
    }


def check_reference(reference: Tensor | None, *, kl_beta: float) -> None:
    """Refuses a weight on the distance to a reference that is not there.

    Args:
        reference: the reference's flow velocity, or the distance to it.
        kl_beta: weight of the distance.

    Raises:
        ValueError: if the weight is positive and there is no reference.
    """
    if reference is None and kl_beta > 0:
        raise ValueError(
            f"kl_beta is {kl_beta} but the velocity of the reference is missing: evaluate the network with "
            f"its adapter off, or set kl_beta to 0."
        )
