"""The clipped policy loss of PPO, on one of the log ratios of `log_ratios`."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class ClippedLoss:
    """A policy loss and how close the update came to its trust region.

    Example:
        ClippedLoss(loss=tensor(-0.02), clip_fraction=tensor(0.25), max_abs_log_ratio=tensor(0.0013))

    Attributes:
        loss: carries the gradient.
        clip_fraction: share of the members whose ratio left [1 - ratio_clip, 1 + ratio_clip].
        max_abs_log_ratio: largest departure of a member from the policy that sampled it.
    """

    loss: Float[Tensor, ""]
    clip_fraction: Float[Tensor, ""]
    max_abs_log_ratio: Float[Tensor, ""]


def clipped_ratio_loss(
    log_ratio: Float[Tensor, " members"],
    advantages: Float[Tensor, " members"],
    *,
    ratio_clip: float,
) -> ClippedLoss:
    """Returns mean_members max( -A r, -A clip(r, 1 - ratio_clip, 1 + ratio_clip) ).

    The mean runs over all members given; one with advantage 0, such as a rollout that was not judged, adds
    no gradient and leaves its siblings' as it is.

    Args:
        log_ratio: log of the importance ratio r; carries the gradient.
        advantages: already clipped, see `group_advantages`.
        ratio_clip: half width of the trust region; 1e-5 to 1e-3 with mean log-probs, where 0.2 never binds.
    """
    ratio = log_ratio.exp()
    clipped_ratio = ratio.clamp(1 - ratio_clip, 1 + ratio_clip)
    loss = torch.maximum(-advantages * ratio, -advantages * clipped_ratio).mean()
    return ClippedLoss(
        loss=loss,
        clip_fraction=((ratio - 1).abs() > ratio_clip).to(loss.dtype).mean(),
        max_abs_log_ratio=log_ratio.detach().abs().max(),
    )
