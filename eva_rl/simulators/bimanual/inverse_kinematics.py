"""Damped least squares inverse kinematics of one arm, with the residual handed back.

Buss 2004, "Introduction to inverse kinematics with Jacobian transpose, pseudoinverse and damped least squares
methods". A silent failure looks like a clumsy expert, so callers must look at the residual.
"""

import numpy as np
from jaxtyping import Float

from eva_rl.simulators.bimanual.mujoco_engine import MjData, mj_comPos, mj_jacSite, mj_kinematics
from eva_rl.simulators.bimanual.robot import Robot
from eva_rl.simulators.bimanual.scene_model import EMBODIMENT
from eva_rl.simulators.bimanual.waypoint import ToolPose

RESIDUAL_TOLERANCE = 5e-4
HOME_JOINTS = np.array([0.0, 1.45, 1.35, 1.4, 0.0, 0.0])
DAMPING = 1e-4
ROTATION_WEIGHT_M = 0.3
LARGEST_STEP_RAD = 0.2
NUM_STARTS = 4
ITERATIONS_PER_START = 200


class InverseKinematics:
    """Solver with its own MuJoCo data, so that the scene itself is never disturbed."""

    def __init__(self, robot: Robot) -> None:
        self.robot = robot
        self._data = MjData(robot.model)
        self._jacobian = np.zeros((2, 3, robot.model.nv))

    def solve(
        self, arm: str, pose: ToolPose, *, start: Float[np.ndarray, " joints"]
    ) -> tuple[Float[np.ndarray, " joints"], float]:
        """Find joints that bring an arm's tool to a pose.

        Args:
            arm: "left" or "right".
            pose: where the tool point should be and how it should be turned.
            start: joints to search from first, rad.

        Returns:
            The joints, rad, and the residual: the norm of the position error, m, joined with 0.3 m times the
            rotation error, rad. It is at most RESIDUAL_TOLERANCE exactly when the pose was reached.
        """
        low, high = EMBODIMENT.lower[EMBODIMENT.joints_of(arm)], EMBODIMENT.upper[EMBODIMENT.joints_of(arm)]
        rotation, velocities = pose.rotation(), self.robot.velocity_addresses[arm]
        best_joints, best_residual = start, np.inf
        for joints in _starts(start, low, high):
            for _ in range(ITERATIONS_PER_START):
                error = self._pose_error(arm, joints, pose.position, rotation)
                residual = float(np.linalg.norm(error))
                if residual < best_residual:
                    best_joints, best_residual = joints, residual
                if residual <= RESIDUAL_TOLERANCE:
                    return best_joints, best_residual
                jacobian = self._weighted_jacobian(arm)[:, velocities]
                step = jacobian.T @ np.linalg.solve(jacobian @ jacobian.T + DAMPING * np.eye(6), error)
                joints = np.clip(joints + np.clip(step, -LARGEST_STEP_RAD, LARGEST_STEP_RAD), low, high)
        return best_joints, best_residual

    def _pose_error(
        self, arm: str, joints: np.ndarray, position: tuple[float, float, float], rotation: np.ndarray
    ) -> np.ndarray:
        data, site = self._data, self.robot.tool_sites[arm]
        data.qpos[self.robot.joint_addresses[arm]] = joints
        mj_kinematics(self.robot.model, data)
        mj_comPos(self.robot.model, data)
        current = data.site_xmat[site].reshape(3, 3)
        rotation_error = 0.5 * np.cross(current.T, rotation.T).sum(0)
        return np.concatenate([position - data.site_xpos[site], ROTATION_WEIGHT_M * rotation_error])

    def _weighted_jacobian(self, arm: str) -> np.ndarray:
        position, rotation = self._jacobian
        mj_jacSite(self.robot.model, self._data, position, rotation, self.robot.tool_sites[arm])
        return np.concatenate([position, ROTATION_WEIGHT_M * rotation])


def _starts(start: np.ndarray, low: np.ndarray, high: np.ndarray) -> list[np.ndarray]:
    """Return the joints to search from: the given ones, home, then fixed random ones around home."""
    random = [np.random.default_rng(seed).normal(0.0, 0.4, len(start)) for seed in range(2, NUM_STARTS)]
    return [start, HOME_JOINTS, *(np.clip(HOME_JOINTS + offset, low, high) for offset in random)]
