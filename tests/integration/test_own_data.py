"""The main job on somebody else's data: foreign tasks, three formats, no simulator."""

import json
from concurrent.futures import Future

import numpy as np
import pytest
from rich.console import Console

from eva_rl.actors.reward_setup import reward_of
from eva_rl.cli.main import main
from eva_rl.config.align import AlignSettings
from eva_rl.config.loading import load_settings
from eva_rl.config.rules import ALIGN_RULES
from eva_rl.config.section import ConfigError
from eva_rl.data.formats import EPISODE_FORMATS
from eva_rl.data.listing import list_episodes
from eva_rl.driver.condition_stage import load_conditions
from eva_rl.driver.preflight import PREFLIGHT_RULES
from eva_rl.driver.progress import RunProgress
from eva_rl.driver.run import run_alignment
from eva_rl.driver.run_directory import open_run_directory
from eva_rl.driver.stages import STAGES
from eva_rl.evaluation.evaluator import Evaluator
from eva_rl.evaluation.held_out import recorded_scenes, split_recorded
from eva_rl.evaluation.store import read_outcomes, read_summaries
from eva_rl.records.episode import Episode
from eva_rl.reports.report import write_report
from eva_rl.simulators.bimanual import BimanualScene
from tests.tiny import NUM_FRAMES, SIZE

pytestmark = pytest.mark.integration

TASKS = ("fold_towel", "pour_tea")
FORMATS = ("robotwin-legacy", "robotwin-v1", "lerobot-v3")
SMALL = {
    "schedule.self_test": False,  # an untrained reader reads no joints
    "robot.simulator": "none",
    "video.height": SIZE,
    "video.width": SIZE,
    "video.num_frames": NUM_FRAMES,
    "adapter.rank": 2,
    "adapter.alpha": 4,
    "algorithm.groups_per_step": 2,
    "algorithm.group_size": 4,
    "schedule.num_training_steps": 2,
    "schedule.checkpoint_every_steps": 2,
    "learner.groups_per_micro_batch": 1,
    "learner.num_threads": 1,
    "generators.count": 1,
    "generators.num_threads": 1,
    "evaluation.num_evaluators": 1,
    "evaluation.held_out_share": 0.34,
    "evaluation.num_conditions": 4,
    "evaluation.num_ladder_conditions": 2,
    "evaluation.num_videos": 1,
    "metrics.tensorboard": "false",
}


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """Two foreign tasks with three episodes each, in every format: one recorded, the others converted."""
    root = tmp_path_factory.mktemp("own_data")
    first = EPISODE_FORMATS[FORMATS[0]].writer
    assert first is not None
    with first(root / FORMATS[0]) as write:
        for task, original in zip(TASKS, ("click_bell", "grab_roller"), strict=True):
            for seed in range(3):
                write(episode_of(original, seed, name=task))
    for name in FORMATS[1:]:
        with pytest.raises(SystemExit, match="0"):
            main(["data", "convert", str(root / FORMATS[0]), str(root / name), "--to", name])
    return root


def episode_of(task, seed, *, name):
    scene = BimanualScene(task, seed, height=SIZE, width=SIZE)
    actions = scene.expert_actions()
    execution = scene.execute(actions, render=True)
    return Episode(
        episode_id=f"{name}/episode{seed}",
        task=name,
        actions=actions,
        measured_positions=None,
        seen_instructions=("lift the red block",),
        unseen_instructions=("press the blue bell",),
        frame_rate_hz=5.0,
        camera="head_camera",
        embodiment="bimanual",
        scene_seed=None,
        source=f"{name}, seed {seed}",
        frames=execution.frames,
    )


def words(recorded, models, directory, name, **more):
    values = SMALL | {
        "data.directory": recorded / name,
        "data.frame_rate_hz": 5.0,
        "run.directory": directory,
        "world_model.directory": models.world_model,
        "idm.directory": models.idm,
    }
    return [word for key, value in (values | more).items() for word in (f"--{key}", str(value))]


def settings_of(overrides):
    rules = (*ALIGN_RULES, *PREFLIGHT_RULES)
    return load_settings(AlignSettings, file=None, overrides=overrides, rules=lambda: rules)


def check_results(run):
    outcomes = read_outcomes(run / "evaluation" / "after.parquet")
    assert {outcome.task for outcome in outcomes} == set(TASKS)
    for outcome in outcomes:
        assert outcome.success is outcome.monitored_success is outcome.scene_seed is None
        assert outcome.violations.keys() == {"position", "velocity", "acceleration"}
    quantities = {row["quantity"] for row in json.loads((run / "summary.json").read_text())}
    assert {"reward", "rms_jerk", "relative_path_length", "arm_rmse_rad"} <= quantities
    assert not any("success" in name for name in quantities)
    ladder = read_summaries(run / "evaluation" / "ladder.json")
    assert ladder["expert"]["arm_rmse_rad"].value == 0
    assert ladder["idm_on_real_video"]["arm_rmse_rad"].value > 0


def test_the_stages_and_the_report_run_on_a_lerobot_dataset_of_foreign_tasks(
    recorded, local_ray, tiny_models, tmp_path
):
    settings = settings_of(words(recorded, tiny_models, tmp_path / "run", "lerobot-v3"))
    given: Future = Future()
    given.set_result(settings.data.directory)
    console = Console(record=True, width=110)
    with RunProgress(STAGES, console=console) as progress:
        run_alignment(settings, open_run_directory(settings), given, progress)
    assert "not executed: no simulator" in console.export_text()
    report = write_report(tmp_path / "run")
    assert "not executed: no simulator" in report.read_text()
    check_results(tmp_path / "run")


@pytest.mark.parametrize("name", ["robotwin-legacy", "robotwin-v1"])
def test_every_format_gives_the_same_conditions_and_held_out_scenes(
    recorded, local_ray, tiny_models, tmp_path, name
):
    """So that the run on one format speaks for all of them."""
    found = []
    for format_name in (name, "lerobot-v3"):
        settings = settings_of(words(recorded, tiny_models, tmp_path / "run", format_name))
        conditions, survey = load_conditions(
            settings, settings.data.directory, world_model=tiny_models.world_model
        )
        _, held_out = split_recorded(survey.usable, settings)
        joints = sorted(item.condition.start_joints.tolist() for item in conditions)
        found.append((sorted(item.condition.task for item in conditions), joints))
        evaluator = Evaluator(
            settings,
            tiny_models.world_model,
            idm_directory=tiny_models.idm,
            reward=reward_of(settings, penalty_scale=1.0),
        )
        scenes = recorded_scenes(held_out, settings.evaluation)
        outcomes = evaluator.evaluate_scenes(scenes, "world_model")
        assert [outcome.task for outcome in outcomes] == list(TASKS)
        assert {outcome.success for outcome in outcomes} == {None}
    assert found[0][0] == found[1][0]
    assert np.allclose(found[0][1], found[1][1], atol=1e-5)


def test_without_a_simulator_data_must_be_given_but_tasks_need_not(tiny_models, tmp_path):
    with pytest.raises(ConfigError, match=r"data\.directory must be given with robot\.simulator = none"):
        settings_of(["--robot.simulator", "none"])


def test_held_out_episodes_are_never_learned_from(recorded, tiny_models, tmp_path):
    settings = settings_of(words(recorded, tiny_models, tmp_path / "run", "robotwin-legacy"))
    episodes = list_episodes(recorded / "robotwin-legacy")
    learned, held_out = split_recorded(episodes, settings)
    scenes = recorded_scenes(held_out, settings.evaluation)
    assert len(learned) == 4
    assert [scene.task for scene in scenes] == list(TASKS)
    assert not {scene.episode for scene in scenes} & set(learned)
    assert split_recorded(episodes, settings) == (learned, held_out)
    executed = settings.model_copy(
        update={"robot": settings.robot.model_copy(update={"simulator": "bimanual"})}
    )
    assert split_recorded(episodes, executed) == (episodes, [])
