"""Group-relative advantages: how much better a rollout is than its siblings."""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float, Float64
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Advantages:
    """Advantages of a batch of groups and how informative they are.

    Example:
        Advantages(values=tensor([[0.7, -0.7, 0.0]]), reward_std=tensor([0.31]),
                   is_degenerate=tensor([False]))

    Attributes:
        values: 0 for rollouts that were not judged and in degenerate groups; else of mean 0 before the clip.
        reward_std: standard deviation of each group's judged rewards, before any floor.
        is_degenerate: groups without a difference to learn from: equal rewards, or fewer than two judged.
    """

    values: Float[Tensor, "groups members"]
    reward_std: Float[Tensor, " groups"]
    is_degenerate: Bool[Tensor, " groups"]

    @property
    def num_degenerate_groups(self) -> int:
        """Number of groups that teach nothing."""
        return int(self.is_degenerate.sum())


def group_advantages(
    rewards: Float[Tensor, "groups members"],
    judged: Bool[Tensor, "groups members"],
    *,
    std: Literal["group", "global", "max_group"],
    clip: float,
    std_floor: float = 1e-4,
) -> Advantages:
    """Centres the rewards of each group and divides them by a standard deviation.

        A = clip( (R - mean_group R) / max(std, std_floor), -clip, clip )

    Standard deviations are of the population (1/n). Rollouts that were not judged take part in nothing. The
    floor is a maximum rather than the usual summand, so advantages do not depend on the reward's scale
    until the floor binds; it should lie well above the reward noise of identical videos.

    Args:
        rewards: higher is better; any value, NaN included, where not judged.
        judged: False where the scorer abstained.
        std: "group" takes each group's own; "global" that of all judged rewards (flow_grpo's `global_std`);
            "max_group" the largest of the groups' (GenRL).
        clip: largest absolute advantage.
        std_floor: smallest divisor, in units of the reward.

    Raises:
        ValueError: if `std`, `clip` or `std_floor` is not allowed.
    """
    if clip <= 0 or std_floor <= 0:
        raise ValueError(f"advantage_clip and std_floor must be positive, got {clip} and {std_floor}.")
    centred, group_std = _centre(rewards, judged, dims=(1,))
    if std == "group":
        divisor = group_std
    elif std == "global":
        _, divisor = _centre(rewards, judged, dims=(0, 1))
    elif std == "max_group":
        divisor = group_std.max()
    else:
        raise ValueError(f"advantage_std must be one of group, global, max_group, got {std!r}.")

    # equality, not group_std == 0: the mean of equal rewards is rounded, and so is their std
    highest = rewards.where(judged, -torch.inf).amax(dim=1)
    lowest = rewards.where(judged, torch.inf).amin(dim=1)
    is_degenerate = highest <= lowest
    values = (centred / divisor.clamp(min=std_floor)).clamp(-clip, clip).where(~is_degenerate[:, None], 0)
    return Advantages(
        values=values.to(rewards.dtype),
        reward_std=group_std.squeeze(1).to(rewards.dtype),
        is_degenerate=is_degenerate,
    )


def _centre(
    rewards: Float[Tensor, "groups members"], judged: Bool[Tensor, "groups members"], *, dims: tuple[int, ...]
) -> tuple[Float64[Tensor, "groups members"], Float64[Tensor, "groups_or_1 1"]]:
    """Returns the judged rewards minus their mean, and their standard deviation, over `dims`."""
    rewards = rewards.double()  # rewards near 10 that differ by 1e-3 lose half their digits in float32
    num_judged = judged.sum(dim=dims, keepdim=True).clamp(min=1)
    mean = rewards.where(judged, 0).sum(dim=dims, keepdim=True) / num_judged
    centred = (rewards - mean).where(judged, 0)
    return centred, (centred.square().sum(dim=dims, keepdim=True) / num_judged).sqrt()
