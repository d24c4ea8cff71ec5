"""How long the segments of a plan last: as short as the robot's limits allow, with a reserve.

Segments are minimum-jerk moves (Flash and Hogan 1985) whose speed peaks at 1.875 distance / duration. What a
monitor sees of their acceleration is the second difference of the commands, one frame period apart. The plan
is continuous and frames may fall anywhere on it, so that difference is bounded at every moment of the plan.
"""

import numpy as np
from jaxtyping import Float

# Experts leave a fifth of every limit unused.
LIMIT_SHARE = 0.8
PEAK_SPEED = 1.875
MOMENTS_PER_FRAME = 10
MAX_ROUNDS = 400
LARGEST_STRETCH = 1.06
SMALLEST_STRETCH = 1.003
# A segment is stretched only if a good part of the excess is its own.
BLAME_SHARE = 0.3


def minimum_jerk(progress: Float[np.ndarray, "*axes"]) -> Float[np.ndarray, "*axes"]:
    """Return how far along its way the least-jerk motion is, 0 .. 1, after this share of the time."""
    progress = np.clip(progress, 0.0, 1.0)
    return progress**3 * (10 - 15 * progress + 6 * progress**2)


def shortest_durations(
    moves: Float[np.ndarray, "segments joints"],
    *,
    floors_s: Float[np.ndarray, " segments"],
    velocity: Float[np.ndarray, " joints"],
    acceleration: Float[np.ndarray, " joints"],
    frame_period_s: float,
) -> Float[np.ndarray, " segments"]:
    """Return durations, s, at which the plan keeps to LIMIT_SHARE of both limits.

    Starts from what speed limits, floors and the frame period ask for, and stretches the segments that break
    the acceleration limits until none does.

    Args:
        moves: way of each joint in each segment, rad.
        floors_s: least duration of each segment.
        velocity: limits, rad/s.
        acceleration: limits on second differences of commands one frame period apart, rad/s^2.
        frame_period_s: time between two commands.

    Raises:
        RuntimeError: no durations were found; cannot happen for limits above zero.
    """
    by_speed = (PEAK_SPEED * np.abs(moves) / (LIMIT_SHARE * velocity)).max(axis=1)
    # No move is shorter than the time between two commands: its shape could not be commanded.
    by_frame = np.where(by_speed > 0, frame_period_s, 0.0)
    durations = np.maximum.reduce([by_speed, by_frame, floors_s])
    for _ in range(MAX_ROUNDS):
        excess = _excess(moves, durations, LIMIT_SHARE * acceleration, frame_period_s)
        if (excess <= 1.0).all():
            return durations
        stretch = np.clip(np.sqrt(excess), SMALLEST_STRETCH, LARGEST_STRETCH)
        durations = np.where(excess > 1.0, durations * stretch, durations)
    raise RuntimeError(f"no durations keep {LIMIT_SHARE} of the limits after {MAX_ROUNDS} rounds")


def segment_progress(
    durations: Float[np.ndarray, " segments"], times_s: Float[np.ndarray, " times"]
) -> Float[np.ndarray, "segments times"]:
    """Return how far along its way each segment is at each moment, 0 .. 1."""
    starts = np.concatenate([[0.0], np.cumsum(durations)[:-1]])
    # A segment that takes no time is over as soon as it begins.
    share = (times_s - starts[:, None]) / np.maximum(durations, 1e-9)[:, None]
    return minimum_jerk(share)


def _excess(
    moves: np.ndarray, durations: np.ndarray, acceleration: np.ndarray, frame_period_s: float
) -> Float[np.ndarray, " segments"]:
    """Return, per segment, the largest acceleration it is to blame for as a share of what is allowed."""
    num_moments = int(np.ceil(durations.sum() / frame_period_s * MOMENTS_PER_FRAME)) + 2 * MOMENTS_PER_FRAME
    times = (np.arange(num_moments) - MOMENTS_PER_FRAME) * frame_period_s / MOMENTS_PER_FRAME
    progress = segment_progress(durations, times)
    before, after = progress[:, : -2 * MOMENTS_PER_FRAME], progress[:, 2 * MOMENTS_PER_FRAME :]
    bend = (after - 2 * progress[:, MOMENTS_PER_FRAME:-MOMENTS_PER_FRAME] + before) / frame_period_s**2
    own = bend[:, :, None] * (moves / acceleration)[:, None, :]
    total = own.sum(axis=0)
    is_to_blame = own * np.sign(total) >= BLAME_SHARE * np.abs(total)
    return np.where(is_to_blame, np.abs(total), 0.0).max(axis=(1, 2))
