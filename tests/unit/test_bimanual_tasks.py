import string

import numpy as np
import pytest

from eva_rl.config.video import EMBEDDED_TASKS
from eva_rl.embodiments import EMBODIMENTS
from eva_rl.simulators.bimanual import TASKS, BimanualScene
from eva_rl.simulators.bimanual.expert import PlanTooLongError
from eva_rl.simulators.bimanual.inverse_kinematics import RESIDUAL_TOLERANCE
from eva_rl.simulators.bimanual.scene_object import COLOURS

LIMITS = EMBODIMENTS["bimanual"]
LARGEST_LIMIT_SHARE = 0.85


def used_share_of_limits(actions: np.ndarray, frame_rate_hz: float) -> np.ndarray:
    """Return the largest shares of the arms' velocity and acceleration limits that commands use."""
    arms = list(LIMITS.arm_indices)
    velocity = np.diff(actions[:, arms], axis=0) * frame_rate_hz
    acceleration = np.diff(velocity, axis=0) * frame_rate_hz
    return np.array(
        [
            np.abs(velocity / LIMITS.velocity[arms]).max(),
            np.abs(acceleration / LIMITS.acceleration[arms]).max(),
        ]
    )


def run_expert(task: str, seed: int) -> bool:
    """Execute one expert, check what must hold for every plan, and tell whether it solved the task safely."""
    scene = BimanualScene(task, seed)
    plan = scene.expert()
    assert plan.ik_residual <= RESIDUAL_TOLERANCE
    assert used_share_of_limits(plan.actions, scene.frame_rate_hz).max() < LARGEST_LIMIT_SHARE
    return scene.execute(plan.actions).monitored_success


def test_the_settings_know_the_tasks_by_name():
    assert tuple(TASKS) == EMBEDDED_TASKS


@pytest.mark.parametrize("task", TASKS)
def test_experts_solve_unseen_scenes_within_all_limits(task):
    assert all(run_expert(task, seed) for seed in range(500, 505))


@pytest.mark.parametrize("task", TASKS)
def test_experts_come_near_the_acceleration_limit(task):
    shares = [
        used_share_of_limits(scene.expert().actions, scene.frame_rate_hz)[1]
        for scene in (BimanualScene(task, seed) for seed in range(500, 505))
    ]
    assert np.mean(shares) > 0.7


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
def test_experts_solve_99_percent_of_200_unseen_scenes(task):
    assert sum(run_expert(task, seed) for seed in range(10_000, 10_200)) >= 198


@pytest.mark.parametrize("task", TASKS)
def test_arms_that_stay_still_solve_nothing(task):
    for seed in range(3):
        scene = BimanualScene(task, seed)
        outcome = scene.execute(np.tile(scene.start_joints, (scene.num_frames, 1)))
        assert not outcome.success
        assert not any(outcome.violations.values())


@pytest.mark.parametrize("task", TASKS)
def test_a_plan_starts_at_the_known_start_and_has_one_row_per_frame(task):
    scene = BimanualScene(task, 1)
    plan = scene.expert()
    assert plan.actions.shape == (21, LIMITS.dimension)
    assert plan.actions.dtype == np.float32
    np.testing.assert_array_equal(plan.actions[0], scene.start_joints)


@pytest.mark.parametrize("task", TASKS)
def test_every_task_has_enough_instruction_templates_and_fills_each(task):
    arrangement = TASKS[task].sample(np.random.default_rng(0))
    assert arrangement.name == task
    assert len(arrangement.seen_instructions) >= 4
    assert len(arrangement.unseen_instructions) >= 2
    assert not set(arrangement.seen_instructions) & set(arrangement.unseen_instructions)
    for template in arrangement.seen_instructions + arrangement.unseen_instructions:
        fields = {field for _, field, _, _ in string.Formatter().parse(template) if field}
        assert fields == set(arrangement.words())


@pytest.mark.parametrize("task", TASKS)
def test_instructions_name_a_colour_and_repeat_for_a_seed(task):
    seen = [BimanualScene(task, seed).instruction() for seed in range(8)]
    assert seen == [BimanualScene(task, seed).instruction("seen") for seed in range(8)]
    assert all(any(colour in sentence for colour in COLOURS) for sentence in seen)
    assert len(set(seen)) > 2
    assert not set(seen) & {BimanualScene(task, seed).instruction("unseen") for seed in range(8)}


def test_equal_seeds_of_different_tasks_start_differently():
    starts = {BimanualScene(task, 3).start_joints.tobytes() for task in TASKS}
    assert len(starts) == len(TASKS)


def test_experts_work_at_ten_frames_per_second():
    scene = BimanualScene("stack_blocks_two", 2, frame_rate_hz=10.0, num_frames=45)
    plan = scene.expert()
    assert plan.actions.shape == (45, 14)
    assert scene.execute(plan.actions).success


def test_a_clip_too_short_for_the_expert_is_refused_with_the_length_it_needs():
    scene = BimanualScene("place_empty_cup", 0, num_frames=13)
    with pytest.raises(PlanTooLongError, match=r"needs \d+ frames at 5\.0 Hz but num_frames is 13"):
        scene.expert()


def test_an_unknown_task_is_refused_with_the_nearest_name():
    with pytest.raises(ValueError, match="nearest name is 'click_bell'"):
        BimanualScene("click_bel", 0)


def test_an_unknown_instruction_split_is_refused():
    with pytest.raises(ValueError, match="split must be 'seen' or 'unseen', got 'test'"):
        BimanualScene("click_bell", 0).instruction("test")
