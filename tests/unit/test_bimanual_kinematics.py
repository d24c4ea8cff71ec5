import numpy as np
import pytest

from eva_rl.simulators.bimanual.expert import UnreachablePoseError, plan_expert
from eva_rl.simulators.bimanual.inverse_kinematics import HOME_JOINTS, RESIDUAL_TOLERANCE, InverseKinematics
from eva_rl.simulators.bimanual.mujoco_engine import MjData
from eva_rl.simulators.bimanual.retiming import (
    LIMIT_SHARE,
    minimum_jerk,
    segment_progress,
    shortest_durations,
)
from eva_rl.simulators.bimanual.robot import Robot
from eva_rl.simulators.bimanual.scene_model import EMBODIMENT, build_model
from eva_rl.simulators.bimanual.waypoint import ToolPose, Waypoint

START = np.concatenate([HOME_JOINTS, [1.0], HOME_JOINTS, [1.0]])


@pytest.fixture(scope="module")
def robot():
    return Robot(build_model(()))


@pytest.mark.parametrize(("arm", "x"), [("left", -0.2), ("right", 0.2)])
@pytest.mark.parametrize("yaw", [0.0, 0.6])
def test_solved_joints_really_bring_the_tool_to_its_pose(robot, arm, x, yaw):
    pose = ToolPose((x, -0.12, 0.08), yaw=yaw)
    joints, residual = InverseKinematics(robot).solve(arm, pose, start=HOME_JOINTS)
    assert residual <= RESIDUAL_TOLERANCE
    data, action = MjData(robot.model), START.copy()
    action[EMBODIMENT.joints_of(arm)] = joints
    robot.reset(data, action)
    site = robot.tool_sites[arm]
    np.testing.assert_allclose(data.site_xpos[site], pose.position, atol=5e-3)
    np.testing.assert_allclose(data.site_xmat[site].reshape(3, 3), pose.rotation(), atol=2e-2)


def test_a_pose_out_of_reach_is_named_with_its_residual(robot):
    far_away = Waypoint({"left": ToolPose((1.5, 1.0, 0.1))})
    with pytest.raises(UnreachablePoseError, match=r"the left arm cannot reach .* residual"):
        plan_expert([far_away], InverseKinematics(robot), start=START, frame_rate_hz=5.0, num_frames=17)


def test_solving_is_repeatable_and_leaves_its_start_alone(robot):
    solver, pose, start = InverseKinematics(robot), ToolPose((-0.1, -0.1, 0.1)), HOME_JOINTS.copy()
    first, _ = solver.solve("left", pose, start=start)
    solver.solve("right", ToolPose((0.2, -0.1, 0.1)), start=start)
    second, _ = solver.solve("left", pose, start=start)
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(start, HOME_JOINTS)


def test_tool_axes_are_a_right_handed_frame_that_points_down():
    rotation = ToolPose((0.0, 0.0, 0.0), yaw=0.7).rotation()
    np.testing.assert_allclose(rotation.T @ rotation, np.eye(3), atol=1e-12)
    assert np.linalg.det(rotation) == pytest.approx(1.0)
    np.testing.assert_array_equal(rotation[:, 0], [0, 0, -1])


def test_minimum_jerk_starts_and_ends_at_rest():
    progress = np.linspace(0, 1, 1001)
    curve = minimum_jerk(progress)
    speed = np.gradient(curve, progress)
    assert (curve[0], curve[-1]) == (0.0, 1.0)
    assert minimum_jerk(np.array(0.5)) == pytest.approx(0.5)
    assert speed.max() == pytest.approx(1.875, abs=1e-3)
    assert max(abs(speed[0]), abs(speed[-1])) < 1e-4


def test_grippers_change_at_the_first_frame_of_their_segment(robot):
    close = Waypoint(grippers={"right": 0.0}, shortest_s=0.4)
    plan = plan_expert([close], InverseKinematics(robot), start=START, frame_rate_hz=5.0, num_frames=4)
    assert plan.actions[:, EMBODIMENT.gripper_indices[1]].tolist() == [1.0, 0.0, 0.0, 0.0]
    assert plan.actions[:, EMBODIMENT.gripper_indices[0]].tolist() == [1.0] * 4


def test_a_gripper_waits_until_the_arm_has_arrived_between_frames(robot):
    plan = plan_expert(
        [Waypoint(shortest_s=0.3), Waypoint(grippers={"left": 0.0}, shortest_s=0.4)],
        InverseKinematics(robot),
        start=START,
        frame_rate_hz=5.0,
        num_frames=5,
    )
    assert plan.actions[:, EMBODIMENT.gripper_indices[0]].tolist() == [1.0, 1.0, 1.0, 0.0, 0.0]


def sampled(moves, durations, *, phase_s):
    """Commands along a plan at 5 Hz, the first frame a little before or after its start."""
    times = np.arange(-2, 40) * 0.2 + phase_s
    return segment_progress(durations, times).T @ moves


@pytest.mark.parametrize("way_rad", [0.1, 0.6, 2.5])
def test_moves_use_four_fifths_of_a_limit_and_no_more_wherever_the_frames_fall(way_rad):
    moves, limits = (
        np.array([[way_rad], [-way_rad]]),
        {"velocity": np.array([3.0]), "acceleration": np.array([5.0])},
    )
    durations = shortest_durations(moves, floors_s=np.zeros(2), frame_period_s=0.2, **limits)
    shares = []
    for phase_s in np.linspace(0, 0.2, 11):
        commands = sampled(moves, durations, phase_s=phase_s)
        speed, hardness = (
            np.abs(np.diff(commands, axis=0)) / 0.2,
            np.abs(np.diff(commands, n=2, axis=0)) / 0.04,
        )
        shares.append(max(speed.max() / 3.0, hardness.max() / 5.0))
    assert 0.95 * LIMIT_SHARE < max(shares) < 1.01 * LIMIT_SHARE


def test_segments_that_rest_keep_their_floor_and_moves_last_a_frame_at_least():
    moves = np.array([[1.0], [0.0], [0.01]])
    limits = {"velocity": np.array([3.0]), "acceleration": np.array([5.0])}
    durations = shortest_durations(moves, floors_s=np.array([0, 0.4, 0]), frame_period_s=0.2, **limits)
    assert durations[1:].tolist() == [0.4, 0.2]


def test_a_share_of_the_speed_makes_a_segment_longer_by_as_much(robot):
    def frames_needed(speed_share):
        there = Waypoint({"left": ToolPose((-0.2, -0.12, 0.08))}, speed_share=speed_share)
        plan = plan_expert([there], InverseKinematics(robot), start=START, frame_rate_hz=50.0, num_frames=200)
        return int((np.diff(plan.actions[:, 0]) != 0).sum())

    assert frames_needed(0.5) == pytest.approx(2 * frames_needed(1.0), abs=2)


def test_reset_puts_both_arms_where_they_were_asked_to_be(robot):
    data, start = MjData(robot.model), START.copy()
    start[3] = 1.2
    robot.reset(data, start)
    np.testing.assert_allclose(robot.positions(data), start, atol=5e-3)
