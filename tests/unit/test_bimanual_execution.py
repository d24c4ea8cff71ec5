import numpy as np
import pytest

from eva_rl.embodiments import EMBODIMENTS
from eva_rl.embodiments.violations import count_command_violations
from eva_rl.simulators.bimanual import BimanualScene
from eva_rl.simulators.bimanual.execution import physics_steps_per_frame
from eva_rl.simulators.bimanual.inverse_kinematics import HOME_JOINTS, InverseKinematics
from eva_rl.simulators.bimanual.robot import Robot
from eva_rl.simulators.bimanual.scene_model import build_model
from eva_rl.simulators.bimanual.waypoint import ToolPose

LIMITS = EMBODIMENTS["bimanual"]
CLICK_SEED = 4


def resting(num_frames: int = 8) -> np.ndarray:
    """Commands that never move, at a place inside all limits."""
    return np.full((num_frames, LIMITS.dimension), 0.5)


def idle_arm(scene: BimanualScene) -> str:
    """The arm that a one-armed expert leaves where it is."""
    ways = {arm: scene.expert().actions[:, LIMITS.joints_of(arm)] for arm in LIMITS.arm_names}
    return next(arm for arm, way in ways.items() if (way == way[0]).all())


def test_execution_is_repeatable_in_one_scene_and_across_scenes():
    first = BimanualScene("grab_roller", 5)
    plan = first.expert()
    outcomes = [
        first.execute(plan.actions, render=True),
        first.execute(plan.actions, render=True),
        BimanualScene("grab_roller", 5).execute(plan.actions, render=True),
    ]
    for outcome in outcomes[1:]:
        np.testing.assert_array_equal(outcome.measured_positions, outcomes[0].measured_positions)
        np.testing.assert_array_equal(outcome.frames, outcomes[0].frames)
        assert outcome.violations == outcomes[0].violations
        assert outcome.tracking_error_rad == outcomes[0].tracking_error_rad


def test_rendering_does_not_change_the_outcome():
    scene = BimanualScene("stack_blocks_two", 1)
    actions = scene.expert().actions
    with_pictures, without = scene.execute(actions, render=True), scene.execute(actions)
    np.testing.assert_array_equal(with_pictures.measured_positions, without.measured_positions)
    assert without.frames is None
    assert with_pictures.frames.shape == (21, 48, 64, 3)


def test_the_first_row_is_replaced_by_the_known_start():
    scene = BimanualScene("click_bell", CLICK_SEED)
    actions = scene.expert().actions.copy()
    expected = scene.execute(actions)
    actions[0] = 0.7
    outcome = scene.execute(actions)
    np.testing.assert_array_equal(outcome.measured_positions, expected.measured_positions)
    assert outcome.monitored_success


def test_measured_positions_follow_the_commands():
    scene = BimanualScene("pick_dual_bottles", 2)
    actions = scene.expert().actions
    outcome = scene.execute(actions)
    arms = list(LIMITS.arm_indices)
    np.testing.assert_allclose(outcome.measured_positions[:, arms], actions[:, arms], atol=0.1)
    assert outcome.tracking_error_rad < 0.1


def test_another_scenes_plan_does_not_solve_this_one():
    plan = BimanualScene("place_empty_cup", 11).expert()
    assert not BimanualScene("place_empty_cup", 12).execute(plan.actions).success


def test_a_jump_of_the_idle_arm_is_counted_and_fails_the_monitor_only():
    scene = BimanualScene("click_bell", CLICK_SEED)
    actions = scene.expert().actions.copy()
    yaw = LIMITS.joints_of(idle_arm(scene)).start
    actions[15, yaw] += 0.7
    outcome = scene.execute(actions)
    assert outcome.success
    assert not outcome.monitored_success
    assert outcome.violations["velocity"] == 2
    assert outcome.violations["acceleration"] == 3
    assert outcome.violations["position"] == 0


def test_commands_beyond_a_limit_are_counted_but_the_joint_stays_inside():
    scene = BimanualScene("click_bell", CLICK_SEED)
    actions = scene.expert().actions.copy()
    wrist = LIMITS.joints_of(idle_arm(scene)).stop - 1
    actions[:, wrist] = np.linspace(actions[0, wrist], 3.0, 21)
    outcome = scene.execute(actions)
    assert outcome.violations["position"] == int((actions[:, wrist] > LIMITS.upper[wrist]).sum()) > 0
    assert outcome.measured_positions[:, wrist].max() < LIMITS.upper[wrist] + 0.02
    assert not outcome.monitored_success


def slowly_to(scene: BimanualScene, target: np.ndarray) -> np.ndarray:
    """Commands that go straight from the scene's start to a target."""
    return scene.start_joints + np.linspace(0, 1, scene.num_frames)[:, None] * (target - scene.start_joints)


def test_pushing_an_arm_into_the_table_is_counted():
    scene = BimanualScene("click_bell", CLICK_SEED)
    target = scene.start_joints.copy()
    target[LIMITS.joints_of("left").start + 1] += 1.2
    outcome = scene.execute(slowly_to(scene, target))
    assert outcome.violations["table_contact"] > 0
    assert outcome.violations["arm_contact"] == 0
    assert outcome.tracking_error_rad > 0.1


def test_arms_that_reach_for_the_same_point_are_counted_as_touching():
    scene = BimanualScene("click_bell", CLICK_SEED)
    solver, target = InverseKinematics(Robot(build_model(()))), scene.start_joints.copy()
    for arm in LIMITS.arm_names:
        target[LIMITS.joints_of(arm)], _ = solver.solve(arm, ToolPose((0.0, -0.12, 0.15)), start=HOME_JOINTS)
    outcome = scene.execute(slowly_to(scene, target))
    assert outcome.violations["arm_contact"] > 0
    assert outcome.violations["table_contact"] == 0


def test_resting_commands_break_no_limit():
    assert count_command_violations(resting(), LIMITS, frame_rate_hz=5.0) == {
        "position": 0,
        "velocity": 0,
        "acceleration": 0,
    }


def test_one_step_command_counts_one_velocity_and_two_acceleration_frames():
    actions = resting()
    actions[4:, 0] += 1.01 * LIMITS.velocity[0] / 5.0
    counts = count_command_violations(actions, LIMITS, frame_rate_hz=5.0)
    assert counts == {"position": 0, "velocity": 1, "acceleration": 2}


def test_a_steady_motion_just_below_the_speed_limit_breaks_nothing_once_it_runs():
    actions = resting()
    actions[:, 0] += np.arange(8) * 0.99 * LIMITS.velocity[0] / 50.0
    counts = count_command_violations(actions, LIMITS, frame_rate_hz=50.0)
    assert counts == {"position": 0, "velocity": 0, "acceleration": 0}


def test_closing_a_gripper_within_one_frame_is_allowed_but_chattering_is_not():
    closing = resting()
    closing[:, LIMITS.gripper_indices[0]] = [1, 1, 1, 0, 0, 0, 0, 0]
    assert not any(count_command_violations(closing, LIMITS, frame_rate_hz=5.0).values())
    closing[:, LIMITS.gripper_indices[0]] = [1, 1, 1, 0, 1, 1, 1, 1]
    assert count_command_violations(closing, LIMITS, frame_rate_hz=5.0)["acceleration"] == 1


def test_actions_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"\[num_frames, D\] = \(21, 14\), got \(16, 14\)"):
        BimanualScene("click_bell", 0).execute(np.zeros((16, 14)))


def test_actions_that_are_not_finite_are_refused_with_their_place():
    actions = np.zeros((21, 14))
    actions[3, 8] = np.nan
    with pytest.raises(ValueError, match="got nan at frame 3, dimension 8"):
        BimanualScene("click_bell", 0).execute(actions)


@pytest.mark.parametrize(("frame_rate_hz", "steps"), [(5.0, 50), (10.0, 25), (25.0, 10), (50.0, 5)])
def test_frames_are_whole_numbers_of_physics_steps(frame_rate_hz, steps):
    assert physics_steps_per_frame(frame_rate_hz) == steps


@pytest.mark.parametrize("frame_rate_hz", [0.0, -5.0, 16.0, 30.0, 100.0])
def test_a_frame_rate_that_the_physics_cannot_keep_is_refused(frame_rate_hz):
    with pytest.raises(ValueError, match=f"frame_rate_hz must divide 50 Hz.* got {frame_rate_hz}"):
        BimanualScene("click_bell", 0, frame_rate_hz=frame_rate_hz)
