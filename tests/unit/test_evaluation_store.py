"""What is written about an evaluation reads back the same."""

import math
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from eva_rl.evaluation.quantities import summarise
from eva_rl.evaluation.store import (
    read_clip,
    read_outcomes,
    read_summaries,
    write_clips,
    write_outcomes,
    write_reports,
)
from eva_rl.records.evaluation import Clip, HeldOutScene
from tests.unit.synthetic_run import outcomes

SCENES = [HeldOutScene(task="click_bell", scene_seed=seed) for seed in range(5)]


def clip(value: int, **changes: object) -> Clip:
    frames = np.full((5, 16, 16, 3), value, np.uint8)
    positions = np.full((5, 14), value, np.float32)
    base = Clip(
        condition_id="click_bell/scene0/unseen",
        task="click_bell",
        instruction="ring it",
        real_frames=np.zeros_like(frames),
        generated_frames=frames,
        real_positions=np.zeros_like(positions),
        generated_positions=positions,
        success=value > 1,
        monitored_success=value > 1,
    )
    return replace(base, **changes)


def test_outcomes_survive_parquet(tmp_path):
    written = outcomes(SCENES, success_rate=0.5, seed=0)
    assert read_outcomes(write_outcomes(tmp_path / "evaluation" / "before.parquet", written)) == written


def test_a_reward_that_was_not_judged_stays_nan(tmp_path):
    written = [replace(outcomes(SCENES, success_rate=0.5, seed=0)[0], reward=float("nan"))]
    (outcome,) = read_outcomes(write_outcomes(tmp_path / "before.parquet", written))
    assert math.isnan(outcome.reward)


def test_terms_and_violations_are_columns_of_their_own(tmp_path):
    file = write_outcomes(tmp_path / "before.parquet", outcomes(SCENES, success_rate=0.5, seed=0))
    assert {"terms.jerk", "violations.velocity", "success"} <= set(pq.read_schema(file).names)


def test_a_file_without_the_columns_is_refused(tmp_path):
    pq.write_table(pa.table({"success": [True]}), tmp_path / "before.parquet")
    with pytest.raises(ValueError, match=r"no columns .*'reward'"):
        read_outcomes(tmp_path / "before.parquet")


def test_an_empty_evaluation_is_not_written(tmp_path):
    with pytest.raises(ValueError, match="no outcomes to write"):
        write_outcomes(tmp_path / "before.parquet", [])


def test_a_file_that_could_not_be_completed_does_not_appear(tmp_path):
    unwritable = replace(outcomes(SCENES, success_rate=0.5, seed=0)[0], reward=object())
    with pytest.raises(pa.ArrowInvalid):
        write_outcomes(tmp_path / "before.parquet", [unwritable])
    assert not (tmp_path / "before.parquet").exists()


def test_summaries_survive_json(tmp_path):
    report = summarise("expert", outcomes(SCENES, success_rate=1.0, seed=0, rung="expert"))
    file = write_reports(tmp_path / "ladder.json", {"expert": report})
    assert read_summaries(file) == {"expert": dict(report.summary)}


def test_the_second_side_of_a_clip_joins_the_first(tmp_path):
    write_clips(tmp_path, [clip(1)], side="before")
    write_clips(tmp_path, [clip(2)], side="after")
    content = read_clip(tmp_path / "0.npz")
    assert (content["before"].max(), content["after"].max(), content["real"].max()) == (1, 2, 0)
    assert (content["success_before"], content["success_after"]) == (False, True)
    assert (content["task"], content["instruction"]) == ("click_bell", "ring it")
    assert content["positions_after"].shape == (5, 14)


def test_clips_of_other_scenes_are_not_mixed(tmp_path):
    write_clips(tmp_path, [clip(1)], side="before")
    with pytest.raises(ValueError, match="shows condition"):
        write_clips(tmp_path, [clip(2, condition_id="grab_roller/scene0/unseen")], side="after")
