"""`eva-rl diff` prints exactly what differs."""

import json
import shutil

import pytest
import yaml

from tests.unit.booked import state_after, store_in
from tests.unit.test_cli import call

FACTS = {
    "commit": "c878240",
    "sources": "aa",
    "versions": {"torch": "2.13.0", "ray": "2.60.0"},
    "started": "noon",
}


@pytest.fixture
def runs(tmp_path):
    first = tmp_path / "first"
    state_after(3, store_in(first / "checkpoints"), file=first / "ledger.jsonl", save_each=False)
    (first / "settings.yaml").write_text(
        yaml.safe_dump({"run": {"seed": 0}, "learner": {"betas": [0.9, 0.99]}})
    )
    (first / "provenance.json").write_text(json.dumps(FACTS))
    rows = [{"training_step": step, "reward/mean": 7.0 + step, "time/step_s": 1.0} for step in range(3)]
    (first / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return first, shutil.copytree(first, tmp_path / "second")


def difference(runs, capsys):
    code = call("diff", *runs)
    return code, capsys.readouterr().out.splitlines()


def test_a_copy_does_not_differ(runs, capsys):
    assert difference(runs, capsys) == (0, ["no difference"])


def test_when_and_how_fast_a_run_was_is_no_difference(runs, capsys):
    metrics = runs[1] / "metrics.jsonl"
    metrics.write_text(metrics.read_text().replace('"time/step_s": 1.0', '"time/step_s": 2.0'))
    (runs[1] / "provenance.json").write_text(json.dumps(FACTS | {"started": "midnight"}))
    assert difference(runs, capsys)[0] == 0


def test_every_difference_is_printed_with_both_values(runs, capsys):
    _, second = runs
    (second / "settings.yaml").write_text(
        yaml.safe_dump({"run": {"seed": 7}, "learner": {"betas": [0.9, 0.99]}})
    )
    (second / "provenance.json").write_text(
        json.dumps(FACTS | {"versions": {"torch": "2.14.0", "ray": "2.60.0"}})
    )
    metrics = second / "metrics.jsonl"
    metrics.write_text(metrics.read_text().replace("8.0", "8.5").replace("9.0", "9.5"))
    ledger = second / "ledger.jsonl"
    ledger.write_text(ledger.read_text().replace("condition2", "condition9"))
    assert difference(runs, capsys) == (
        1,
        [
            "setting run.seed: 0 | 7",
            "versions.torch: '2.13.0' | '2.14.0'",
            "metrics, training step 1, reward/mean: 8.0 | 8.5",
            "ledger, training step 2, groups.0.condition_id: 'condition2' | 'condition9'",
        ],
    )


def test_a_shorter_run_is_a_difference(runs, capsys):
    metrics = runs[1] / "metrics.jsonl"
    metrics.write_text("".join(metrics.read_text().splitlines(keepends=True)[:2]))
    assert difference(runs, capsys) == (1, ["metrics: 3 training steps | 2"])


def test_what_is_no_run_is_refused(tmp_path, capsys):
    assert call("diff", tmp_path, tmp_path) == 2
    assert "no run directory" in capsys.readouterr().err
