"""The RoboTwin adapter's calls, against a stand-in that enforces the interface and parsed signatures."""

import json
import os
import random
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from eva_rl import pretrained
from eva_rl.config.align import AlignSettings
from eva_rl.config.section import ConfigError
from eva_rl.config.video import RobotSettings, VideoSettings
from eva_rl.embodiments import EMBODIMENTS
from eva_rl.evaluation.evaluator import Evaluator
from eva_rl.evaluation.held_out import PreparedScene
from eva_rl.records.evaluation import HeldOutScene
from eva_rl.rewards.reward import REWARD_PRESETS, KinematicReward
from eva_rl.simulators.robotwin.expert import UnsolvedSceneError, find_seeds, run_expert
from eva_rl.simulators.robotwin.install import RobotwinError, installed_tasks, problem_of
from eva_rl.simulators.robotwin.limits import step_limit
from eva_rl.simulators.robotwin.protocols import PROTOCOLS
from eva_rl.simulators.robotwin.robotwin_scene import RobotwinScene
from eva_rl.simulators.scene import SceneRequest
from eva_rl.simulators.table import tasks_of
from tests.data.parse_robotwin_signatures import signatures
from tests.robotwin_stand_in import write_stand_in

PARSED = json.loads((Path(__file__).parents[1] / "data" / "robotwin_signatures.json").read_text())


@pytest.fixture(scope="module")
def install(tmp_path_factory):
    paths = list(sys.path)
    root = write_stand_in(tmp_path_factory.mktemp("robotwin"))
    yield root
    sys.path[:] = paths
    for name in [
        name for name in sys.modules if name.split(".")[0] in ("envs", "generate_episode_instructions")
    ]:
        del sys.modules[name]


def request(install, seed=100_000, **robot):
    return SceneRequest(
        task="click_bell",
        seed=seed,
        video=VideoSettings(height=24, width=32, num_frames=5, frame_rate_hz=5.0),
        robot=RobotSettings(
            embodiment="bimanual", simulator="robotwin", robotwin_root=install, tasks=("click_bell",), **robot
        ),
    )


def motion(goal, frames=5, joint=0):
    rows = np.zeros((frames, 14))
    rows[:, [6, 13]] = 1
    rows[:, joint] = np.linspace(0, goal, frames)
    return rows


def test_unstable_and_unsolved_seeds_are_counted_and_left_out(install):
    search = find_seeds(request(install), 3)
    assert search.seeds == (100_000, 100_003, 100_004)
    assert (search.num_unstable, search.num_unsolved) == (1, 1)


def test_the_working_directory_and_pythons_generator_come_back(install):
    before, state = os.getcwd(), random.getstate()
    scene = RobotwinScene(request(install))
    scene.execute(motion(0.2))
    assert os.getcwd() == before
    assert random.getstate() == state


def test_an_unsolved_seed_is_refused(install):
    with pytest.raises(UnsolvedSceneError, match="seed 100002"):
        run_expert(request(install).robot, "click_bell", seed=100_002)


@pytest.mark.parametrize("execution", ["take_action", "dense"])
def test_both_ways_to_execute_reach_the_goal_and_stop_there(install, execution):
    scene = RobotwinScene(request(install, robotwin_execution=execution))
    result = scene.execute(motion(1.0))
    assert result.success
    assert len(result.commands) == 4  # the goal is passed on the third move: 0.75 rad
    assert not RobotwinScene(request(install, robotwin_execution=execution)).execute(motion(0.3)).success


def test_dense_execution_keeps_the_videos_timing_in_chunks_of_fifteen_steps(install):
    scene = RobotwinScene(request(install, robotwin_execution="dense"))
    scene.begin()
    environment = scene._environment
    scene.proceed(motion(0.3))
    assert environment.dense_steps == 4 * 250 / 5
    scene.finish()


def test_a_move_that_topp_cannot_time_is_counted_though_nothing_is_raised(install):
    result = RobotwinScene(request(install)).execute(motion(4.0, joint=1))
    assert result.violations["planning"] == 1
    assert not result.success


def test_a_task_ends_at_its_step_limit(install):
    scene = RobotwinScene(request(install))
    result = scene.execute(motion(0.3, frames=20))
    assert len(result.commands) == 1 + 6
    with pytest.raises(RuntimeError, match="begin"):
        scene.finish()


def test_execution_goes_on_from_where_the_scene_is(install):
    scene = RobotwinScene(request(install))
    scene.begin()
    first = scene.proceed(motion(0.3)[:3])
    assert first.joints[0] == pytest.approx(0.15)
    assert not scene.is_over
    second = scene.proceed(motion(1.0)[2:4])
    assert scene.is_over
    assert second.frame.mean() > first.frame.mean()
    assert scene.finish().success


def test_the_demonstration_has_the_videos_rate_and_a_length_that_codecs_take(install):
    scene = RobotwinScene(request(install))
    actions_, frames = scene.expert_actions(), scene.real_frames()
    assert len(actions_) == len(frames)
    assert len(frames) % 4 == 1
    assert len(frames) == pytest.approx(1 + 41 / (250 / 15) * 5, abs=4)
    assert np.array_equal(scene.observe(), frames[0])


def test_wordings_are_the_same_for_a_seed_and_differ_between_splits(install):
    one, again = (RobotwinScene(request(install)) for _ in range(2))
    assert one.instruction("seen") == again.instruction("seen") != one.instruction("unseen")


@pytest.mark.parametrize("split", ["seen", "unseen"])
def test_the_simulator_is_told_the_wording_of_the_split(install, split):
    scene = RobotwinScene(replace(request(install), instruction_split=split))
    scene.begin()
    assert scene._environment.instruction == scene.instruction(split)
    scene.finish()


@pytest.mark.parametrize("split", ["seen", "unseen"])
def test_an_evaluated_scene_tells_the_simulator_what_the_model_was_told(install, split):
    asked = request(install)
    prepared = PreparedScene(
        HeldOutScene(task="click_bell", scene_seed=100_000, instruction_split=split),
        video=asked.video,
        robot=asked.robot,
        instruction_split="seen",
    )
    prepared.scene.begin()
    assert prepared.scene._environment.instruction == prepared.condition.instruction
    assert prepared.condition.instruction.startswith("tap") == (split == "unseen")
    prepared.scene.finish()


def test_scenes_are_held_open_one_at_a_time(install):
    asked = request(install)
    settings = AlignSettings(
        robot=asked.robot, video=asked.video, evaluation={"conditions_per_call": 25, "num_conditions": 3}
    )
    reward = KinematicReward.of(EMBODIMENTS["bimanual"], REWARD_PRESETS["eva-paper"], frame_rate_hz=5.0)
    world_model = str(pretrained.WORLD_MODEL)
    evaluator = Evaluator(settings, world_model, idm_directory=str(pretrained.IDM), reward=reward)
    scenes = [HeldOutScene(task="click_bell", scene_seed=seed) for seed in (100_000, 100_003, 100_004)]
    assert [len(prepared) for prepared in evaluator._prepared(scenes)] == [1, 1, 1]


def test_without_named_tasks_the_installs_own_are_taken(install):
    robot = request(install).robot.model_copy(update={"tasks": ()})
    assert tasks_of(robot) == ("click_bell",)
    with pytest.raises(ConfigError, match=r"robot\.tasks must name the tasks"):
        tasks_of(RobotSettings(simulator="none"))


def test_a_missing_install_is_named(tmp_path):
    robot = RobotSettings(simulator="robotwin")
    assert "robot.robotwin_root must name" in problem_of(robot)
    assert "no directory envs" in problem_of(robot.model_copy(update={"robotwin_root": tmp_path}))


def test_another_robot_than_the_settings_is_refused(install):
    wrong = request(install)
    robot = wrong.robot.model_copy(update={"embodiment": "franka-panda"})
    with pytest.raises(RobotwinError, match="14 joint dimensions"):
        RobotwinScene(SceneRequest(task="click_bell", seed=100_000, video=wrong.video, robot=robot))


def test_tasks_come_from_the_install_unless_a_protocol_cannot_know_them(install):
    assert installed_tasks(request(install).robot) == ("click_bell",)
    assert PROTOCOLS["robotwin-2.0"].tasks((), ("click_bell",)) == ("click_bell",)
    with pytest.raises(ValueError, match="not public"):
        PROTOCOLS["eva-paper"].tasks((), ("click_bell",))
    assert (step_limit("click_bell"), step_limit("put_bottles_dustbin")) == (400, 1700)


@pytest.mark.parametrize(
    ("function", "positional", "keywords"),
    [
        ("click_bell.setup_demo", 0, {"now_ep_num", "seed", "is_test", "task_name"}),
        ("Base_Task.play_once", 0, set()),
        ("Base_Task.check_success", 0, set()),
        ("Base_Task.get_obs", 0, set()),
        ("Base_Task.set_instruction", 0, {"instruction"}),
        ("Base_Task.close_env", 0, {"clear_cache"}),
        ("Base_Task.take_action", 1, {"action_type"}),
        ("Base_Task.take_dense_action", 1, {"save_freq"}),
        ("Robot.get_left_arm_real_jointState", 0, set()),
        ("Robot.get_right_arm_real_jointState", 0, set()),
        ("generate_episode_descriptions", 3, set()),
    ],
)
def test_every_call_of_the_adapter_fits_the_published_signature(function, positional, keywords):
    published = PARSED["signatures"][function]
    names = [name for name in published["parameters"] if name != "self"]
    required = [name for name in names if name not in published["defaults"]]
    assert set(required) <= set(names[:positional]) | keywords
    assert published["any_keywords"] or keywords <= set(names[positional:])


def test_the_parsed_signatures_are_those_of_the_wheel():
    wheels = sorted(
        Path(os.environ.get("ROBOTWIN_WHEELS", "wheels")).glob("rlinf_robotwin_runtime-0.1.3-*.whl")
    )
    if not wheels:
        pytest.skip(
            "the wheel rlinf-robotwin-runtime 0.1.3 is not here; name its directory in ROBOTWIN_WHEELS"
        )
    assert signatures(wheels[0]) == PARSED
