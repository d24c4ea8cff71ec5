"""Held-out scenes are balanced, reproducible and never picked."""

from collections import Counter

import numpy as np
import pytest

from eva_rl.config.evaluation import EvaluationSettings
from eva_rl.config.video import RobotSettings, VideoSettings
from eva_rl.evaluation.held_out import NoSceneError, PreparedScene, held_out_scenes, planned_scenes
from eva_rl.records.evaluation import HeldOutScene
from eva_rl.simulators.bimanual import BimanualScene
from eva_rl.simulators.bimanual.expert import PlanTooLongError
from tests.unit.synthetic_episodes import write_directory

TASKS = ("click_bell", "grab_roller", "place_empty_cup")


def prepared(split: str = "unseen", **robot: object) -> PreparedScene:
    return PreparedScene(
        HeldOutScene(task="click_bell", scene_seed=1_000_000),
        video=VideoSettings(),
        robot=RobotSettings(**robot),
        instruction_split=split,
    )


def test_tasks_are_balanced_in_every_beginning_of_the_list():
    scenes = held_out_scenes(TASKS, EvaluationSettings(num_conditions=20))
    assert len(scenes) == len(set(scenes)) == 20
    for length in range(1, 21):
        counts = Counter(scene.task for scene in scenes[:length])
        assert max(counts.values()) - min(counts[task] for task in TASKS) <= 1


def test_a_longer_list_begins_with_the_shorter_one():
    short, long = (held_out_scenes(TASKS, EvaluationSettings(num_conditions=n)) for n in (7, 50))
    assert long[:7] == short


def test_scene_seeds_start_at_the_first_held_out_one():
    scenes = held_out_scenes(TASKS, EvaluationSettings(num_conditions=6, first_scene_seed=500))
    assert [scene.scene_seed for scene in scenes] == [500, 500, 500, 501, 501, 501]


def test_seeds_that_do_not_count_are_passed_over_task_by_task():
    scenes = held_out_scenes(
        TASKS,
        EvaluationSettings(num_conditions=6, first_scene_seed=500),
        counts=lambda task, seed: (task, seed) != ("grab_roller", 500),
    )
    assert [scene.scene_seed for scene in scenes] == [500, 501, 500, 501, 502, 501]


def test_a_scene_that_no_plan_fits_is_passed_over():
    wanted = EvaluationSettings(num_conditions=2, first_scene_seed=6_000_011)
    with pytest.raises(PlanTooLongError):
        BimanualScene("place_empty_cup", 6_000_011, frame_rate_hz=5.0, num_frames=21).expert()
    scenes = planned_scenes(["place_empty_cup"], wanted, video=VideoSettings(), robot=RobotSettings())
    assert [scene.scene_seed for scene in scenes] == [6_000_012, 6_000_013]


def test_tasks_that_no_clip_has_time_for_are_named():
    wanted, short = EvaluationSettings(num_conditions=2), VideoSettings(num_frames=5)
    with pytest.raises(NoSceneError, match=r"click_bell.*0 of the 6 scenes.*video\.num_frames"):
        planned_scenes(["click_bell"], wanted, video=short, robot=RobotSettings())


def test_a_scene_is_rebuilt_the_same():
    first, second = prepared(), prepared()
    assert np.array_equal(first.condition.first_frame, second.condition.first_frame)
    assert np.array_equal(first.condition.start_joints, second.condition.start_joints)
    assert first.condition.instruction == second.condition.instruction
    assert np.array_equal(first.real_frames, second.real_frames)


def test_the_condition_shows_the_start_of_the_real_video():
    scene = prepared()
    assert np.array_equal(scene.condition.first_frame, scene.real_frames[0])
    assert np.array_equal(scene.condition.start_joints, scene.expert_actions[0])


def test_instruction_splits_are_different_conditions():
    seen, unseen = prepared("seen").condition, prepared("unseen").condition
    assert seen.instruction != unseen.instruction
    assert seen.condition_id != unseen.condition_id


def test_an_unknown_simulator_is_refused_with_the_nearest_name():
    with pytest.raises(ValueError, match="nearest is 'bimanual'"):
        prepared(simulator="bimanul")


def test_a_history_is_taken_from_a_recording_and_refused_of_a_simulator(tmp_path):
    (ref,) = write_directory(tmp_path, num_episodes=1, num_frames=21)
    scene = HeldOutScene(task="click_bell", scene_seed=None, episode=ref)
    robot = RobotSettings(simulator="none")
    options = {"video": VideoSettings(), "instruction_split": "seen", "num_history_frames": 5}
    prepared = PreparedScene(scene, robot=robot, **options)
    assert np.array_equal(prepared.condition.history, prepared.real_frames[:5])
    simulated = HeldOutScene(task="click_bell", scene_seed=1_000_000)
    with pytest.raises(ValueError, match=r"begins with one: evaluate on recordings"):
        PreparedScene(simulated, robot=RobotSettings(), **options)
