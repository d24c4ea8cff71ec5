"""The console command, called as a user calls it."""

import json
from pathlib import Path

import numpy as np
import pytest

from eva_rl.checkpoints.store import CheckpointStore
from eva_rl.cli.main import main


def call(*words):
    with pytest.raises(SystemExit) as caught:
        main([str(word) for word in words])
    return caught.value.code


def score(capsys, file, *words):
    code = call("score", file, "--fps", "16", "--embodiment", "piper", "--json", *words)
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_a_robot_at_rest_has_the_highest_reward_and_breaks_nothing(tmp_path, capsys):
    np.save(tmp_path / "rest.npy", np.zeros((49, 14)))
    code, out, _ = score(capsys, tmp_path / "rest.npy")
    assert code == 0
    result = json.loads(out)
    assert result["reward"] == 10.0
    assert set(result["violations"].values()) == {0}


def test_a_jump_costs_what_the_papers_formula_says(tmp_path, capsys):
    actions = np.zeros((49, 14))
    actions[20:, :6] = 0.5  # six joints of one arm, at once
    np.save(tmp_path / "jump.npy", actions)
    _, out, _ = score(capsys, tmp_path / "jump.npy")
    result = json.loads(out)
    assert result["reward"] == pytest.approx(7.05, abs=0.005)
    assert sum(result["terms"].values()) == pytest.approx(result["penalty"])
    assert result["violations"]["velocity"] == 1


@pytest.mark.parametrize(
    ("actions", "code", "message"),
    [
        (np.zeros((49, 13)), 2, "must have shape [frames, 14], got [49, 13]"),
        (np.zeros((3, 14)), 2, "at least 4 frames"),
        (np.full((49, 14), np.nan), 1, "not finite"),
    ],
)
def test_unusable_actions_are_refused_with_a_sentence(tmp_path, capsys, actions, code, message):
    np.save(tmp_path / "bad.npy", actions)
    got, out, err = score(capsys, tmp_path / "bad.npy")
    assert (got, out) == (code, "")
    assert message in err


def test_a_missing_file_or_robot_is_named(tmp_path, capsys):
    assert score(capsys, tmp_path / "absent.npy")[0] == 2
    np.save(tmp_path / "rest.npy", np.zeros((49, 14)))
    assert call("score", tmp_path / "rest.npy", "--fps", "16", "--embodiment", "pipper") == 2
    assert "piper" in capsys.readouterr().err


def test_verify_tells_a_whole_checkpoint_from_an_altered_one(tmp_path, capsys):
    store = CheckpointStore(tmp_path, keep=1)
    files = {"adapter.bin": store.begin(5).write("adapter.bin", b"weights")}
    checkpoint = Path(store.commit(5, {"training_step": 5}, files).path)
    assert call("verify", checkpoint) == 0
    (checkpoint / "adapter.bin").write_bytes(b"Weights")
    assert call("verify", checkpoint) == 1
    assert "adapter.bin" in capsys.readouterr().err


def test_report_refuses_what_is_no_run(tmp_path, capsys):
    assert call("report", tmp_path) == 2
    assert "no run directory" in capsys.readouterr().err
