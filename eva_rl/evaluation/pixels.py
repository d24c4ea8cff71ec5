"""Frames as networks see them, and as pictures."""

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor


def to_pixels(frames: Float[Tensor, "B T 3 H W"]) -> UInt8[Tensor, "B T H W 3"]:
    """Rounds frames in [-1, 1] to RGB 0..255."""
    return ((frames + 1.0) * 127.5).round().clamp(0, 255).to(torch.uint8).permute(0, 1, 3, 4, 2).cpu()


def to_frames(pixels: UInt8[np.ndarray, "B T H W 3"]) -> Float[Tensor, "B T 3 H W"]:
    """Scales RGB 0..255 to [-1, 1]."""
    return torch.from_numpy(pixels).permute(0, 1, 4, 2, 3).float() / 127.5 - 1.0
