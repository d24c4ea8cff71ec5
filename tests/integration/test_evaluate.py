"""An evaluation by itself: the recipe on the shipped models, and a run's own policy found again."""

import json
import shutil
import subprocess
import sys
from concurrent.futures import Future
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from eva_rl.checkpoints.store import CheckpointStore
from eva_rl.config.align import AlignSettings
from eva_rl.config.evaluate import EvaluateSettings
from eva_rl.config.loading import load_settings
from eva_rl.data.formats import EPISODE_FORMATS
from eva_rl.driver.evaluate import EVALUATE_STAGES, run_evaluation
from eva_rl.driver.preflight import EVALUATE_RULES, PREFLIGHT_RULES
from eva_rl.driver.progress import RunProgress
from eva_rl.driver.run import run_alignment
from eva_rl.driver.run_directory import open_run_directory
from eva_rl.driver.stages import STAGES
from eva_rl.driver.trained_policy import find_policy, load_policy
from eva_rl.evaluation.rungs import RUNGS
from eva_rl.evaluation.store import read_outcomes, read_summaries
from eva_rl.records.rollout_id import RolloutId
from tests.integration.test_own_data import SMALL, episode_of

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
TASKS = ("click_bell", "grab_roller")
COMMON = {
    "robot.simulator": "bimanual",
    "video.num_frames": 21,  # as many as the expert needs
    "robot.tasks": f"[{', '.join(TASKS)}]",
    "evaluation.num_conditions": 3,
    "evaluation.num_ladder_conditions": 0,
    "reward.penalty_scale": "calibrated",
}
AVERAGED = {"algorithm.average_decay": 0.9, "learner.learning_rate": 0.05, "learner.warmup_steps": 0}


def words(values):
    return [word for name, value in values.items() for word in (f"--{name}", str(value))]


@pytest.fixture(scope="module")
def finished_run(local_ray, tiny_models, tmp_path_factory):
    """Two training steps whose moving average, not whose last adapter, is deployed."""
    root = tmp_path_factory.mktemp("finished")
    writer = EPISODE_FORMATS["robotwin-legacy"].writer
    assert writer is not None
    with writer(root / "data") as write:
        for task in TASKS:
            write(episode_of(task, 0, name=task))
    given: Future = Future()
    given.set_result(root / "data")
    settings = load_settings(
        AlignSettings,
        file=None,
        overrides=words(
            SMALL | COMMON | AVERAGED | sources(root, tiny_models) | {"evaluation.num_videos": 0}
        ),
        rules=lambda: PREFLIGHT_RULES,
    )
    with RunProgress(STAGES) as progress:
        run_alignment(settings, open_run_directory(settings), given, progress)
    return root / "run"


def sources(root, models):
    return {
        "run.directory": root / "run",
        "data.directory": root / "data",
        "data.frame_rate_hz": 5.0,
        "world_model.directory": models.world_model,
        "idm.directory": models.idm,
    }


def evaluate_settings(tiny_models, directory, **more):
    kept = {
        name: value for name, value in SMALL.items() if name.split(".")[0] in EvaluateSettings.model_fields
    }
    values = kept | COMMON | sources(directory, tiny_models) | {"data.directory": "null"} | more
    return load_settings(EvaluateSettings, file=None, overrides=words(values), rules=lambda: EVALUATE_RULES)


def test_a_finished_runs_policy_gives_the_runs_own_outcomes_again(finished_run, tiny_models, tmp_path):
    settings = evaluate_settings(tiny_models, tmp_path, **{"policy.run_directory": finished_run})
    directory = open_run_directory(settings.as_run()).path
    with RunProgress(EVALUATE_STAGES) as progress:
        run_evaluation(settings, directory, progress)
    own = [read_outcomes(finished_run / "evaluation" / f"{side}.parquet") for side in ("before", "after")]
    found = [read_outcomes(directory / f"{label}.parquet") for label in ("world_model", "aligned")]
    assert own[0] != own[1]
    assert found == own


def test_a_runs_policy_has_its_own_sizes_and_its_differences_are_told(finished_run, tiny_models, tmp_path):
    policy = find_policy(
        evaluate_settings(
            tiny_models, tmp_path, **{"policy.run_directory": finished_run, "sampling.num_steps": 7}
        )
    )
    assert policy is not None
    assert (policy.adapter.rank, policy.adapter.alpha, policy.training_step) == (2, 4, 2)
    assert [line.partition(" ")[0] for line in policy.differences] == ["sampling.num_steps"]


def test_the_moving_average_is_loaded_and_not_the_last_adapter(finished_run, tiny_models, tmp_path):
    settings = evaluate_settings(tiny_models, tmp_path, **{"policy.run_directory": finished_run})
    policy = find_policy(settings)
    assert policy is not None
    loaded = load_policy(settings.as_run().model_copy(update={"adapter": policy.adapter}), policy)
    checkpoint, saved = CheckpointStore(finished_run / "checkpoints", keep=1).read(2)
    average = load_file(Path(checkpoint.path) / "averages.safetensors")["deployed"]
    assert np.array_equal(loaded.values, average)
    assert loaded.version.content_hash != saved["policies"]["2"]


def test_an_unfinished_run_gives_the_adapter_of_its_newest_checkpoint(finished_run, tiny_models, tmp_path):
    unfinished = tmp_path / "unfinished"
    shutil.copytree(finished_run, unfinished, ignore=lambda path, names: {"evaluation", "demonstrations"})
    shutil.rmtree(unfinished / "adapter")
    settings = evaluate_settings(tiny_models, tmp_path, **{"policy.run_directory": unfinished})
    policy = find_policy(settings)
    assert policy is not None
    assert policy.training_step == 2
    assert policy.adapter.directory is not None
    found, final = (
        load_file(directory / "pytorch_lora_weights.safetensors")
        for directory in (policy.adapter.directory, finished_run / "adapter")
    )
    assert found.keys() == final.keys()
    assert all(np.array_equal(found[name], final[name]) for name in found)


def test_an_adapter_from_elsewhere_brings_its_own_sizes(finished_run, tiny_models, tmp_path):
    settings = evaluate_settings(
        tiny_models,
        tmp_path,
        **{"adapter.directory": finished_run / "adapter", "adapter.rank": 16, "adapter.alpha": 16},
    )
    policy = find_policy(settings)
    assert policy is not None
    assert (policy.adapter.rank, policy.adapter.alpha, policy.penalty_scale) == (2, 4, None)


def test_two_policies_at_once_are_refused(tiny_models, tmp_path):
    both = {"policy.run_directory": tmp_path, "adapter.directory": tmp_path}
    with pytest.raises(ValueError, match="both name a policy"):
        evaluate_settings(tiny_models, tmp_path, **both)


@pytest.fixture(scope="module")
def recipe_results(tmp_path_factory):
    """Four scenes, two wordings, two clips each, on the shipped models."""
    directory = tmp_path_factory.mktemp("recipe") / "results"
    values = {
        "run.directory": directory,
        "evaluation.num_conditions": 4,
        "evaluation.num_ladder_conditions": 4,
        "evaluation.best_of": 2,
        "evaluation.instruction_split": "both",
        "evaluation.num_evaluators": 1,
        "sampling.num_steps": 2,
        "cluster.num_cpus": 1,
    }
    command = [sys.executable, "recipes/robotwin_evaluate.py", *words(values)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "best of N clips" in done.stdout
    assert "rank correlation" in done.stdout
    return directory


def test_the_recipe_writes_one_row_per_condition_and_set(recipe_results):
    rows = {label: read_outcomes(recipe_results / f"{label}.parquet") for label in (*RUNGS, "best_of_2")}
    assert {label: len(found) for label, found in rows.items()} == {
        "expert": 4, "idm_on_real_video": 4, "codec_round_trip": 4, "world_model": 8, "best_of_2": 8,
    }  # fmt: skip
    assert len(read_outcomes(recipe_results / "best_of_1.parquet")) == 16
    wordings = [outcome.condition_id.rpartition("/")[2] for outcome in rows["world_model"]]
    assert wordings == ["seen", "unseen"] * 4
    assert all(outcome.monitored_success for outcome in rows["expert"])


def test_the_recipes_summary_holds_rungs_tasks_wordings_and_both_kinds_of_success(recipe_results):
    summaries = read_summaries(recipe_results / "ladder.json")
    tasks = {outcome.task for outcome in read_outcomes(recipe_results / "expert.parquet")}
    assert {f"{rung}/{task}" for rung in RUNGS for task in tasks} < summaries.keys()
    assert {"world_model/seen", "world_model/unseen"} < summaries.keys()
    success = summaries["expert"]["success"]
    assert (success.value, success.high, success.n) == (1, 1, 4)
    assert success.low == pytest.approx(0.5101, abs=1e-4)  # Wilson's lower end at 4 of 4
    for label in ("world_model", "world_model/seen", "world_model/unseen", "best_of_2"):
        for name in ("success", "monitored_success"):
            estimate = summaries[label][name]
            assert estimate.low <= estimate.value <= estimate.high
            assert estimate.n == 4


def test_the_recipe_tells_what_best_of_n_costs_and_what_the_reward_ranks(recipe_results):
    one, two = json.loads((recipe_results / "best_of.json").read_text())
    assert (one["num_clips"], two["num_clips"], one["relative_cost"]) == (1, 2, 1)
    assert two["generation_cpu_s"] == pytest.approx(2 * one["generation_cpu_s"])
    assert two["relative_cost"] > 1.9
    assert two["gains"]["reward"]["value"] >= one["gains"]["reward"]["value"]
    correlations = json.loads((recipe_results / "correlation.json").read_text())
    assert {*RUNGS, "world_model/seen", "world_model/unseen"} <= correlations.keys()
    for found in correlations["world_model"].values():
        assert -1 <= found["low"] <= found["value"] <= found["high"] <= 1


def a_rollout(run):
    """Of the first training step: the checkpoint of step 0 keeps the adapter that sampled it."""
    line = json.loads((run / "ledger.jsonl").read_text().splitlines()[0])
    return RolloutId(training_step=0, condition_id=line["groups"][0]["condition_id"], member=1)


def test_a_rollout_is_made_again_bit_for_bit(finished_run, tmp_path):
    words = ["replay", str(finished_run), str(a_rollout(finished_run)), "--out", str(tmp_path / "again")]
    finished = subprocess.run(
        [sys.executable, "-m", "eva_rl.cli.main", *words],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert "as recorded, bit for bit" in finished.stdout
    with np.load(tmp_path / "again.npz", allow_pickle=False) as content:
        assert len(content["frames"]) == len(content["positions"]) == 21
        assert np.isfinite(content["reward"])
    assert (tmp_path / "again.mp4").stat().st_size > 0
