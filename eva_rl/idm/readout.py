"""From features of every frame to joint positions: what all small models end with."""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

GRIPPER_LOGIT_SCALE = 4.0  # grippers are decided early in training when their logits start out large


def window_layers(num_inputs: int, num_outputs: int, *, num_frames: int) -> nn.Sequential:
    """Joins the features of a window of frames, for every frame; the ends of a clip are repeated.

    Args:
        num_inputs: width of one frame's features.
        num_outputs: width of a window's features.
        num_frames: of the window, odd.
    """
    return nn.Sequential(
        nn.Conv1d(num_inputs, num_outputs, num_frames, padding=num_frames // 2, padding_mode="replicate"),
        nn.SiLU(),
        nn.Conv1d(num_outputs, num_outputs, 1),
        nn.SiLU(),
    )


def with_window(features: Float[Tensor, "B T C"], window: nn.Module) -> Float[Tensor, "B T C2"]:
    """Every frame's features beside those of its window."""
    return torch.cat([features, window(features.transpose(1, 2)).transpose(1, 2)], dim=-1)


def positions_and_logits(
    output: Float[Tensor, "B T D"],
    *,
    mean: Float[Tensor, " D"],
    std: Float[Tensor, " D"],
    gripper_dimensions: Sequence[int],
) -> Float[Tensor, "B T D"]:
    """Joints in rad, logits of "open" for grippers.

    Args:
        output: of a network's last layer.
        mean: of every dimension in training.
        std: of every dimension in training.
        gripper_dimensions: which dimensions are grippers.
    """
    output = output.float()
    is_gripper = _gripper_mask(output, gripper_dimensions)
    return torch.where(is_gripper, GRIPPER_LOGIT_SCALE * output, output * std + mean)


def decided(
    predicted: Float[Tensor, "B T D"], *, gripper_dimensions: Sequence[int]
) -> Float[Tensor, "B T D"]:
    """Executable positions: joints as they are, grippers 0 (closed) or 1 (open)."""
    is_gripper = _gripper_mask(predicted, gripper_dimensions)
    return torch.where(is_gripper, (predicted > 0).to(predicted.dtype), predicted)


def softened(
    predicted: Float[Tensor, "B T D"], *, gripper_dimensions: Sequence[int]
) -> Float[Tensor, "B T D"]:
    """Positions with a gradient everywhere: joints as they are, grippers as the probability of "open"."""
    is_gripper = _gripper_mask(predicted, gripper_dimensions)
    return torch.where(is_gripper, predicted.sigmoid(), predicted)


def _gripper_mask(values: Tensor, gripper_dimensions: Sequence[int]) -> Bool[Tensor, " D"]:
    indices = torch.arange(values.shape[-1], device=values.device)
    return torch.isin(indices, torch.tensor(gripper_dimensions, dtype=torch.long, device=values.device))
