"""What the sentinels watch about rollouts, from frames and decoded motion alone."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor


def frame_change(frames: Float[Tensor, "members frames 3 height width"]) -> Float[Tensor, " members"]:
    """Mean absolute difference of consecutive frames, for pixels in 0..1; 0 for a frozen video.

    Args:
        frames: in [-1, 1].
    """
    return frames.diff(dim=1).abs().mean(dim=(1, 2, 3, 4)) / 2


def group_spread(
    positions: Float[Tensor, "members frames dimensions"], is_gripper: Bool[Tensor, " dimensions"]
) -> Float[Tensor, " members"]:
    """Mean distance of each member's arm motion to its siblings': root mean square, rad.

    Args:
        positions: decoded, of one group; members that are not finite are left out and get NaN.
        is_gripper: True on the dimensions to leave out.

    Returns:
        One distance per member; NaN without a sibling.
    """
    arms = positions[:, :, ~is_gripper].flatten(1)
    distances = torch.cdist(arms, arms, compute_mode="donot_use_mm_for_euclid_dist") / arms.shape[1] ** 0.5
    is_same = torch.eye(len(arms), dtype=torch.bool, device=arms.device)
    distances = distances.where(~is_same & distances.isfinite(), torch.nan)
    return distances.nanmean(dim=1)


def reader_distance(
    positions: Float[Tensor, "members frames dimensions"],
    judge_positions: Float[Tensor, "members frames dimensions"],
    is_gripper: Bool[Tensor, " dimensions"],
) -> Float[Tensor, " members"]:
    """How far two inverse dynamics models disagree: root mean square over frames and arm joints, rad."""
    return (positions - judge_positions)[:, :, ~is_gripper].square().mean(dim=(1, 2)).sqrt()
