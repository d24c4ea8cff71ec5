"""Scripted experts: a task's waypoints become joint targets along minimum-jerk curves.

Flash and Hogan 1985: the point-to-point motion of least squared jerk is 10 u^3 - 15 u^4 + 6 u^5.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32

from eva_rl.simulators.bimanual.inverse_kinematics import RESIDUAL_TOLERANCE, InverseKinematics
from eva_rl.simulators.bimanual.scene_model import EMBODIMENT
from eva_rl.simulators.bimanual.waypoint import Waypoint


class UnreachablePoseError(ValueError):
    """Inverse kinematics did not reach a waypoint, so the plan would be a clumsy one."""


class PlanTooLongError(ValueError):
    """A plan does not fit into the clip, or not onto its frames."""


@dataclass(frozen=True)
class ExpertPlan:
    """Joint targets that solve a task.

    Attributes:
        actions: absolute targets at each frame, [frames, D], rad (grippers 0..1); row 0 is the start.
        ik_residual: largest inverse-kinematics residual of the plan's waypoints.
    """

    actions: Float32[np.ndarray, "frames D"]
    ik_residual: float


def plan_expert(
    waypoints: Sequence[Waypoint],
    solver: InverseKinematics,
    *,
    start: Float[np.ndarray, " D"],
    frame_rate_hz: float,
    num_frames: int,
) -> ExpertPlan:
    """Turn waypoints into a plan that begins at `start` and rests at its end until the clip is over.

    Raises:
        UnreachablePoseError: a waypoint's residual is above RESIDUAL_TOLERANCE.
        PlanTooLongError: the waypoints last longer than the clip, or a duration is no whole number of frames.
    """
    rows = [start]
    largest_residual = 0.0
    for waypoint in waypoints:
        segment_start = rows[-1]
        segment_end, residual = _segment_end(waypoint, solver, segment_start)
        largest_residual = max(largest_residual, residual)
        segment_frames = _frames_of(waypoint.duration_s, frame_rate_hz)
        for frame in range(1, segment_frames + 1):
            row = segment_start + minimum_jerk(frame / segment_frames) * (segment_end - segment_start)
            row[list(EMBODIMENT.gripper_indices)] = segment_end[list(EMBODIMENT.gripper_indices)]
            rows.append(row)
    if len(rows) > num_frames:
        raise PlanTooLongError(
            f"the expert needs {len(rows)} frames at {frame_rate_hz} Hz but num_frames is {num_frames}; "
            f"give num_frames >= {len(rows)}"
        )
    rows += [rows[-1]] * (num_frames - len(rows))
    return ExpertPlan(np.array(rows, dtype=np.float32), largest_residual)


def minimum_jerk(progress: float) -> float:
    """Return how far along its way the least-jerk motion is, 0 .. 1, after this share of the time."""
    return progress**3 * (10 - 15 * progress + 6 * progress**2)


def _segment_end(
    waypoint: Waypoint, solver: InverseKinematics, segment_start: np.ndarray
) -> tuple[np.ndarray, float]:
    """Return the action at the waypoint and the largest residual of its poses."""
    segment_end = segment_start.copy()
    largest_residual = 0.0
    for arm, pose in waypoint.tools.items():
        joints = EMBODIMENT.joints_of(arm)
        segment_end[joints], residual = solver.solve(arm, pose, start=segment_start[joints])
        if residual > RESIDUAL_TOLERANCE:
            raise UnreachablePoseError(
                f"the {arm} arm cannot reach {pose}: residual {residual:.1e}, allowed {RESIDUAL_TOLERANCE}; "
                "move the task's pose range into the workspace"
            )
        largest_residual = max(largest_residual, residual)
    for arm, opening in waypoint.grippers.items():
        segment_end[EMBODIMENT.gripper_indices[EMBODIMENT.arm_names.index(arm)]] = opening
    return segment_end, largest_residual


def _frames_of(duration_s: float, frame_rate_hz: float) -> int:
    """Return a duration in frames, refusing what does not fall onto a frame."""
    frames = round(duration_s * frame_rate_hz)
    if frames < 1 or abs(frames - duration_s * frame_rate_hz) > 1e-6:
        raise PlanTooLongError(
            f"a plan segment of {duration_s} s is {duration_s * frame_rate_hz:g} frames at frame_rate_hz="
            f"{frame_rate_hz}; experts need whole frames: use a multiple of 5 Hz"
        )
    return frames
