"""Noise levels: the schedule a rollout walks down from pure noise to a clean video."""

from collections.abc import Sequence
from itertools import pairwise


def shifted_sigmas(num_steps: int, *, shift: float) -> tuple[float, ...]:
    """Returns the shifted uniform schedule of flow matching.

        sigma = shift * u / (shift * u + (1 - u)),    u = 1 - step / num_steps

    A shift above 1 spends more steps at high noise, where the motion of a video is decided. A real model's
    noise levels come from its own scheduler; this is the schedule those of the Wan family approximate.

    Args:
        num_steps: number of denoising steps, at least 1.
        shift: 1 is uniform; Wan uses 3 to 5.

    Returns:
        num_steps + 1 noise levels, from 1 to 0.

    Raises:
        ValueError: if an argument is out of range.
    """
    if num_steps < 1:
        raise ValueError(f"num_steps must be at least 1, got {num_steps}.")
    if shift <= 0:
        raise ValueError(f"shift must be positive, got {shift}; 1 is the uniform schedule.")
    uniform = [1 - step / num_steps for step in range(num_steps + 1)]
    return tuple(shift * u / (shift * u + (1 - u)) for u in uniform)


def check_sigmas(sigmas: Sequence[float]) -> None:
    """Refuses a schedule that no sampler can walk.

    Args:
        sigmas: num_steps + 1 noise levels.

    Raises:
        ValueError: unless the levels fall strictly, start in (0, 1] and end at exactly 0.
    """
    falls = all(sigma_next < sigma for sigma, sigma_next in pairwise(sigmas))
    if len(sigmas) < 2 or not falls or sigmas[0] > 1 or sigmas[-1] != 0:
        raise ValueError(
            f"sigmas must fall strictly from at most 1 to exactly 0 in at least one step, got "
            f"{tuple(sigmas)}: pass the scheduler's sigmas with the final 0 appended."
        )
