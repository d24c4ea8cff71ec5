"""Laws of the whole loop, on real Ray, real DeepSpeed and tiny models."""

import json
import shutil

import pytest

from eva_rl.metrics.jsonl import read_rows
from tests.tiny import tiny_settings
from tests.tiny_run import running_roles, train

pytestmark = pytest.mark.integration


def run_loop(settings, models, conditions, directory, *, resume=False, before=lambda roles: None):
    """Runs the align stage to its end; returns the final adapter version and the metric rows."""
    with running_roles(settings, models) as roles:
        before(roles)
        train(settings, roles, conditions, directory, resume=resume)
        version = roles.learner.deployed().version
    return version, read_rows(directory / "metrics.jsonl")


def without_times(rows):
    return [
        {
            name: value
            for name, value in row.items()
            if not name.startswith(("time/", "faults/", "sync/", "queue/", "members/"))
            and "per_s" not in name
        }
        for row in rows
    ]


def interrupted(directory, copy, *, after_step):
    """A copy of a finished run as it was right after the checkpoint of `after_step`."""
    shutil.copytree(directory, copy)
    for checkpoint in (copy / "checkpoints").iterdir():
        if int(checkpoint.name.removeprefix("step_")) > after_step:
            shutil.rmtree(checkpoint)
    return copy


@pytest.fixture(scope="module")
def reference_directory(tmp_path_factory):
    return tmp_path_factory.mktemp("reference")


@pytest.fixture(scope="module")
def reference_run(local_ray, tiny_models, tiny_conditions, reference_directory):
    return run_loop(tiny_settings(), tiny_models, tiny_conditions, reference_directory)


def test_the_first_replay_has_unit_ratio(reference_run):
    _, rows = reference_run
    assert all(abs(row["learner/max_ratio_deviation"]) < 1e-5 for row in rows)


def test_training_changes_the_adapter_every_step(reference_run):
    version, rows = reference_run
    assert version.training_step == 3
    assert all(row["learner/grad_norm"] > 0 for row in rows)


def test_the_same_seed_gives_the_same_bytes(reference_run, tiny_models, tiny_conditions, tmp_path):
    again = run_loop(tiny_settings(), tiny_models, tiny_conditions, tmp_path)
    assert again[0] == reference_run[0]
    assert without_times(again[1]) == without_times(reference_run[1])


def test_more_generators_and_scorers_give_the_same_bytes(
    reference_run, tiny_models, tiny_conditions, tmp_path
):
    settings = tiny_settings(generators__count=2, scorers__count=2)
    assert run_loop(settings, tiny_models, tiny_conditions, tmp_path)[0] == reference_run[0]


def test_a_resumed_run_gives_the_same_bytes(
    reference_run, reference_directory, tiny_models, tiny_conditions, tmp_path
):
    directory = interrupted(reference_directory, tmp_path / "run", after_step=2)
    version, rows = run_loop(tiny_settings(), tiny_models, tiny_conditions, directory, resume=True)
    assert version == reference_run[0]
    assert without_times(rows) == without_times(reference_run[1])


def test_staleness_is_scheduled_and_survives_a_resume(local_ray, tiny_models, tiny_conditions, tmp_path):
    settings = tiny_settings(schedule__rollouts_ahead=1)
    version, rows = run_loop(settings, tiny_models, tiny_conditions, tmp_path / "whole")
    assert [row["rollouts/staleness"] for row in rows] == [0, 1, 1]

    directory = interrupted(tmp_path / "whole", tmp_path / "parts", after_step=2)
    resumed, _ = run_loop(settings, tiny_models, tiny_conditions, directory, resume=True)
    assert resumed == version


def test_moving_averages_survive_a_resume(local_ray, tiny_models, tiny_conditions, tmp_path):
    settings = tiny_settings(
        algorithm__loss="nft",
        algorithm__kl_form="velocity",
        algorithm__behaviour="nft_type1",
        algorithm__average_decay=0.5,
        sampling__shares_prefix=False,
        sampling__antithetic=False,
    )
    version, rows = run_loop(settings, tiny_models, tiny_conditions, tmp_path / "whole")
    directory = interrupted(tmp_path / "whole", tmp_path / "parts", after_step=1)
    resumed, resumed_rows = run_loop(settings, tiny_models, tiny_conditions, directory, resume=True)
    assert resumed == version
    assert without_times(resumed_rows) == without_times(rows)


def test_a_run_reports_nothing_that_its_algorithm_does_not_have(
    reference_run, tiny_models, tiny_conditions, tmp_path
):
    settings = tiny_settings(
        algorithm__loss="direct",
        algorithm__kl_form="velocity",
        algorithm__group_size=1,
        sampling__shares_prefix=False,
        sampling__antithetic=False,
    )
    _, (row, *_) = run_loop(settings, tiny_models, tiny_conditions, tmp_path)
    of_groups = {"reward/std_within_group", "advantage/zero_variance_share"}
    of_ratios = {"learner/max_ratio_deviation", "learner/clip_fraction"}
    assert not (of_groups | of_ratios) & row.keys()
    assert of_groups | of_ratios <= reference_run[1][0].keys()


def test_an_unordered_run_learns_from_every_condition_once_and_from_nothing_too_old(
    local_ray, tiny_models, tiny_conditions, tmp_path
):
    settings = tiny_settings(
        schedule__ordering="unordered",
        schedule__rollouts_ahead=1,
        schedule__max_staleness=2,
        schedule__num_training_steps=4,
        generators__count=2,
    )
    _, rows = run_loop(settings, tiny_models, tiny_conditions, tmp_path / "whole")
    assert max(row["rollouts/max_staleness"] for row in rows) <= 2

    directory = interrupted(tmp_path / "whole", tmp_path / "parts", after_step=2)
    run_loop(settings, tiny_models, tiny_conditions, directory, resume=True)
    for part in ("whole", "parts"):
        lines = [json.loads(line) for line in (tmp_path / part / "ledger.jsonl").read_text().splitlines()]
        learned = [
            (group.get("batch", line["training_step"]), group["condition_id"])
            for line in lines
            for group in line["groups"]
        ]
        assert len(set(learned)) == len(learned) == 4 * settings.algorithm.groups_per_step
