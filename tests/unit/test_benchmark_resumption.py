"""Which rows of an earlier comparison still hold: those whose every decisive setting is the same."""

import json

import pytest

from benchmarks.arms import Arm, Models
from benchmarks.resumption import fingerprint, in_order, rows_that_hold, stored_rows
from eva_rl.config.align import AlignSettings
from eva_rl.config.presets import merged

ARM = Arm(preset="embedded_direct", question="")


@pytest.fixture
def models(tmp_path):
    for name in ("world_model", "idm"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "weights").write_text(name)
    return Models(world_model=str(tmp_path / "world_model"), idm=str(tmp_path / "idm"), judge=None)


def name_of(models, *, cpu_seconds=60.0, seed=0, **sections):
    settings = AlignSettings.model_validate(merged(AlignSettings().model_dump(), sections))
    return fingerprint(ARM.settings(settings, seed=seed), models, cpu_seconds=cpu_seconds)


@pytest.mark.parametrize(
    "elsewhere",
    [
        {"run": {"directory": "runs/other", "name": "other"}},
        {"cluster": {"num_cpus": 1}},
        {"metrics": {"tensorboard": False}},
    ],
)
def test_where_it_runs_changes_no_name(models, elsewhere):
    assert name_of(models, **elsewhere) == name_of(models)


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 1},
        {"cpu_seconds": 61.0},
        {"reward": {"term_weights": {"jerk": 0.0}}},
        {"evaluation": {"num_conditions": 7}},
        {"data": {"first_scene_seed": 5}},
    ],
)
def test_what_decides_the_result_changes_the_name(models, change):
    assert name_of(models, **change) != name_of(models)


def test_other_weights_change_the_name(models, tmp_path):
    before = name_of(models)
    (tmp_path / "idm" / "weights").write_text("retrained")
    assert name_of(models) != before


def test_rows_hold_while_their_name_is_the_one_that_is_wanted(tmp_path):
    file = tmp_path / "results.json"
    assert stored_rows(file) == []
    rows = [
        {"arm": "direct", "seed": 0, "fingerprint": "a"},
        {"arm": "direct", "seed": 1, "fingerprint": "old"},
        {"arm": "nft", "seed": 0, "fingerprint": "c"},
        {"arm": "direct", "seed": 2},
    ]
    file.write_text(json.dumps({"arms": rows}))
    wanted = {("direct", 0): "a", ("direct", 1): "b", ("direct", 2): "d"}
    assert rows_that_hold(stored_rows(file), wanted) == [rows[0]]


def test_rows_come_in_order_of_the_table_and_then_of_the_seeds():
    wanted = dict.fromkeys([("direct", 0), ("direct", 1), ("nft", 0)], "")
    shuffled = [{"arm": "nft", "seed": 0}, {"arm": "direct", "seed": 1}, {"arm": "direct", "seed": 0}]
    assert [(row["arm"], row["seed"]) for row in in_order(shuffled, wanted)] == list(wanted)
