"""What a motion claims, looked at without physics; and how far executed tasks come."""

import numpy as np
import pytest

from eva_rl.embodiments import EMBODIMENTS
from eva_rl.simulators.bimanual import TASKS, BimanualScene
from eva_rl.simulators.bimanual.clearance import FARTHEST_M

LIMITS = EMBODIMENTS["bimanual"]
LEFT, RIGHT = 0, 1


def still(scene, frames=2):
    return np.tile(scene.start_joints, (frames, 1))


def test_arms_at_their_start_are_far_from_each_other_and_clear_of_themselves():
    scene = BimanualScene("click_bell", 1)
    clearances = scene.clearances(still(scene))
    assert clearances.shape == (2, 2)
    assert ((clearances > 0.03) & (clearances < FARTHEST_M)).all()


def test_arms_that_reach_for_the_same_place_overlap_and_both_are_told():
    scene = BimanualScene("click_bell", 1)
    positions = still(scene, 5).astype(np.float64)
    # Both arms turn towards the middle, stretched out.
    for arm, sign in (("left", -1), ("right", 1)):
        joints = LIMITS.joints_of(arm)
        positions[1:, joints.start] = sign * np.linspace(0.3, 1.5, 4)
        positions[1:, joints.start + 1 : joints.start + 3] = 2.2, 1.3
    clearances = scene.clearances(positions)
    assert clearances.min() < 0
    worst = clearances.min(axis=1).argmin()
    assert clearances[worst, LEFT] == clearances[worst, RIGHT]


def test_an_arm_folded_into_itself_is_told_and_the_other_is_not():
    scene = BimanualScene("click_bell", 1)
    positions = still(scene).astype(np.float64)
    joints = LIMITS.joints_of("left")
    positions[1, joints] = [1.2, 2.4, 0.3, 0.5, -0.3, 0.5]
    clearances = scene.clearances(positions)
    assert clearances[1, LEFT] < 0 < 0.03 < clearances[1, RIGHT]


@pytest.mark.parametrize("task", TASKS)
def test_experts_keep_three_centimetres_clear(task):
    scene = BimanualScene(task, 100)
    assert scene.clearances(scene.expert().actions).min() > 0.03


def test_the_start_looks_the_same_with_and_without_physics():
    scene = BimanualScene("stack_blocks_two", 2)
    rendered = scene.render_motion(still(scene))
    difference = np.abs(rendered.frames[0].astype(int) - scene.observe())
    assert rendered.frames.dtype == np.uint8
    assert difference.mean() < 1


def test_arms_cover_what_differs_from_the_empty_scene():
    scene = BimanualScene("grab_roller", 3)
    rendered = scene.render_motion(scene.expert().actions[::4])
    cover = rendered.arm_cover
    assert cover.shape == (6, 2, 48, 64)
    assert cover.sum(axis=1).max() <= 1
    is_free = cover.sum(axis=1) == 0
    empty = np.broadcast_to(rendered.empty, rendered.frames.shape)
    np.testing.assert_array_equal(rendered.frames[is_free], empty[is_free])
    columns = np.arange(64)
    left, right = (cover[0, arm].sum(axis=0) @ columns / cover[0, arm].sum() for arm in (LEFT, RIGHT))
    assert left < 32 < right


def test_a_motion_that_is_looked_at_moves_no_object():
    scene = BimanualScene("pick_dual_bottles", 4)
    before = scene.observe()
    scene.render_motion(scene.expert().actions)
    scene.clearances(scene.expert().actions)
    np.testing.assert_array_equal(scene.observe(), before)


@pytest.mark.parametrize("task", TASKS)
def test_progress_grows_with_the_part_of_the_experts_way_that_is_gone(task):
    scene = BimanualScene(task, 5)
    actions = scene.expert().actions
    progress = []
    for last in (0, 7, 14, 20):
        cut = actions.copy()
        cut[last:] = actions[last]
        progress.append(scene.execute(cut).progress)
    assert progress == sorted(progress)
    assert progress[0] < 0.3
    assert progress[-1] == 1.0


@pytest.mark.parametrize("task", TASKS)
def test_progress_is_one_exactly_when_the_task_succeeds(task):
    generator = np.random.default_rng(0)
    for seed in range(3):
        scene = BimanualScene(task, seed)
        noise = generator.normal(0, 0.08, (scene.num_frames, LIMITS.dimension)).astype(np.float32)
        execution = scene.execute(scene.expert().actions + noise)
        assert 0 <= execution.progress <= 1
        assert execution.success == (execution.progress == 1.0)
