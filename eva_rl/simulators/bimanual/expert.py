"""Scripted experts: a task's waypoints become joint targets on minimum-jerk curves, as fast as allowed."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32, Int

from eva_rl.simulators.bimanual.inverse_kinematics import RESIDUAL_TOLERANCE, InverseKinematics
from eva_rl.simulators.bimanual.retiming import segment_progress, shortest_durations
from eva_rl.simulators.bimanual.scene_model import EMBODIMENT
from eva_rl.simulators.bimanual.waypoint import Waypoint


class UnreachablePoseError(ValueError):
    """Inverse kinematics did not reach a waypoint, so the plan would be a clumsy one."""


class PlanTooLongError(ValueError):
    """A plan does not fit into the clip."""


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

    The plan is continuous; the actions are its targets at the frames. Segments need not end on frames.

    Raises:
        UnreachablePoseError: a waypoint's residual is above RESIDUAL_TOLERANCE.
        PlanTooLongError: the waypoints last longer than the clip.
    """
    corners, largest_residual = [start], 0.0
    for waypoint in waypoints:
        corner, residual = _segment_end(waypoint, solver, corners[-1])
        corners.append(corner)
        largest_residual = max(largest_residual, residual)
    corners = np.array(corners)
    durations = _durations(waypoints, corners, frame_rate_hz)
    # A sample may lie a rounding error past the last moment.
    frames_needed = int(np.ceil(durations.sum() * frame_rate_hz - 1e-6)) + 1
    if frames_needed > num_frames:
        raise PlanTooLongError(
            f"the expert needs {frames_needed} frames at {frame_rate_hz} Hz but num_frames is {num_frames}; "
            f"give num_frames >= {frames_needed}"
        )
    times = np.arange(num_frames) / frame_rate_hz
    actions = start + segment_progress(durations, times).T @ np.diff(corners, axis=0)
    grippers = list(EMBODIMENT.gripper_indices)
    actions[:, grippers] = corners[_gripper_corner(durations, times, 1 / frame_rate_hz)][:, grippers]
    return ExpertPlan(actions.astype(np.float32), largest_residual)


def _durations(
    waypoints: Sequence[Waypoint], corners: Float[np.ndarray, "corners D"], frame_rate_hz: float
) -> Float[np.ndarray, " segments"]:
    """Return how long each segment lasts, s."""
    arms = list(EMBODIMENT.arm_indices)
    durations = shortest_durations(
        np.diff(corners, axis=0)[:, arms],
        floors_s=np.array([waypoint.shortest_s for waypoint in waypoints]),
        velocity=EMBODIMENT.velocity[arms],
        acceleration=EMBODIMENT.acceleration[arms],
        frame_period_s=1 / frame_rate_hz,
    )
    return durations / np.array([waypoint.speed_share for waypoint in waypoints])


def _gripper_corner(
    durations: Float[np.ndarray, " segments"], times_s: Float[np.ndarray, " frames"], frame_period_s: float
) -> Int[np.ndarray, " frames"]:
    """Return the corner whose gripper command holds at each frame.

    A command that a frame gives has been ramped up to over the frame period before it, so it comes one period
    after its segment's start: by then the arm has arrived.
    """
    starts = np.concatenate([[0.0], np.cumsum(durations)[:-1]])
    return (times_s[:, None] >= starts + frame_period_s - 1e-9).sum(axis=1)


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
