"""Commands that break an embodiment's limits, counted as a robot's safety monitor would."""

import numpy as np
from jaxtyping import Float

from eva_rl.embodiments.embodiment import Embodiment

LIMIT_TOLERANCE = 1e-4


def count_command_violations(
    actions: Float[np.ndarray, "frames D"], embodiment: Embodiment, *, frame_rate_hz: float
) -> dict[str, int]:
    """Count the frames whose commands break the embodiment's position, velocity and acceleration limits.

    Velocity and acceleration are first and second differences of the commands; grippers count as well.

    Args:
        actions: absolute targets, [frames, D], rad (grippers 0..1).
        embodiment: whose limits count.
        frame_rate_hz: true frames per second of `actions`.
    """
    velocity = np.diff(actions, axis=0) * frame_rate_hz
    acceleration = np.diff(velocity, axis=0) * frame_rate_hz
    outside = (actions < embodiment.lower - LIMIT_TOLERANCE) | (actions > embodiment.upper + LIMIT_TOLERANCE)
    too_fast = np.abs(velocity) > embodiment.velocity + LIMIT_TOLERANCE
    too_hard = np.abs(acceleration) > embodiment.acceleration + LIMIT_TOLERANCE
    return {
        "position": int(outside.any(axis=1).sum()),
        "velocity": int(too_fast.any(axis=1).sum()),
        "acceleration": int(too_hard.any(axis=1).sum()),
    }
