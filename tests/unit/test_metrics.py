"""Metrics are declared once and reach every sink."""

import json
from pathlib import Path

import pytest

from eva_rl.metrics import (
    METRIC_FAMILIES,
    METRICS,
    JsonlSink,
    MetricSinks,
    TensorboardSink,
    UndeclaredMetricError,
    declared_metric,
    read_rows,
)
from eva_rl.metrics.jsonl import MetricsFileError


def test_every_metric_has_an_area_a_unit_and_a_meaning():
    for key, metric in METRICS.items():
        assert key == metric.name
        assert key.count("/") >= 1
        assert metric.unit
        assert metric.meaning


def test_durations_are_named_and_measured_in_seconds():
    timed = [metric for metric in METRICS.values() if metric.name.startswith("time/")]
    assert timed
    assert all(metric.name.endswith("_s") and metric.unit == "s" for metric in timed)


def test_a_member_of_a_family_is_declared_but_its_bare_prefix_is_not():
    assert declared_metric("reward/term/jerk") is METRIC_FAMILIES["reward/term/"]
    with pytest.raises(UndeclaredMetricError):
        declared_metric("reward/term/")


def test_an_undeclared_name_is_refused_with_the_nearest_one():
    with pytest.raises(UndeclaredMetricError, match="nearest name is 'learner/grad_norm'"):
        declared_metric("learner/gradnorm")


def test_a_row_with_an_undeclared_name_reaches_no_sink(tmp_path):
    sinks = MetricSinks([JsonlSink(tmp_path / "metrics.jsonl")])
    with pytest.raises(UndeclaredMetricError):
        sinks.write(0, {"reward/mean": 1.0, "reward/men": 2.0})
    assert read_rows(tmp_path / "metrics.jsonl") == []


def test_a_full_disk_ends_the_run_with_a_sentence():
    sink = JsonlSink(Path("/dev/full"))
    with pytest.raises(MetricsFileError, match=r"/dev/full cannot be written \(No space left on device\)"):
        sink.write(0, {"reward/mean": 1.0})


class GoneServer:
    def __init__(self):
        self.num_calls = 0

    def write(self, training_step, row):
        self.num_calls += 1
        raise ConnectionError("nobody answers")

    close = None


def test_a_tracking_server_that_is_gone_is_told_once_and_left_out(tmp_path):
    gone, told = GoneServer(), []
    rows = JsonlSink(tmp_path / "metrics.jsonl")
    sinks = MetricSinks([rows], optional=[gone], tell=told.append)
    for step in range(3):
        sinks.write(step, {"reward/mean": 1.0})
    sinks.close()
    assert gone.num_calls == len(told) == 1
    assert "GoneServer takes no more metrics (ConnectionError: nobody answers)" in told[0]
    assert len(read_rows(tmp_path / "metrics.jsonl")) == 3


def test_a_row_can_be_read_before_the_sink_is_closed(tmp_path):
    sink = JsonlSink(tmp_path / "run" / "metrics.jsonl")
    sink.write(3, {"reward/mean": 7.5})
    assert read_rows(tmp_path / "run" / "metrics.jsonl") == [{"training_step": 3, "reward/mean": 7.5}]


def test_values_that_are_not_finite_become_null(tmp_path):
    sink = JsonlSink(tmp_path / "metrics.jsonl")
    sink.write(0, {"learner/grad_norm": float("nan"), "learner/kl": float("inf")})
    (line,) = (tmp_path / "metrics.jsonl").read_text().splitlines()
    assert json.loads(line) == {"training_step": 0, "learner/grad_norm": None, "learner/kl": None}


def test_a_resumed_run_drops_later_rows_and_a_half_written_one(tmp_path):
    file = tmp_path / "metrics.jsonl"
    sink = JsonlSink(file)
    for step in range(5):
        sink.write(step, {"reward/mean": float(step)})
    sink.close()
    file.write_text(file.read_text() + '{"training_step": 5, "rew')
    sink = JsonlSink(file, last_kept_step=2)
    sink.write(3, {"reward/mean": 30.0})
    assert [(row["training_step"], row["reward/mean"]) for row in read_rows(file)] == [
        (0, 0.0), (1, 1.0), (2, 2.0), (3, 30.0)
    ]  # fmt: skip


def test_a_damaged_line_is_named(tmp_path):
    file = tmp_path / "metrics.jsonl"
    file.write_text('{"training_step": 0}\nnonsense\n{"training_step": 2}\n')
    with pytest.raises(ValueError, match=r"line 2 .*'nonsense'"):
        read_rows(file)


def test_tensorboard_files_hold_what_was_written(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    sink = TensorboardSink(tmp_path)
    for step in range(3):
        sink.write(step, {"reward/mean": 0.5 * step})
    sink.close()
    events = EventAccumulator(str(tmp_path))
    events.Reload()
    assert [(event.step, event.value) for event in events.Scalars("reward/mean")] == [
        (0, 0.0), (1, 0.5), (2, 1.0)
    ]  # fmt: skip


def test_a_resumed_tensorboard_hides_what_the_interrupted_run_wrote_later(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    interrupted = TensorboardSink(tmp_path)
    for step in range(4):
        interrupted.write(step, {"reward/mean": 1.0})
    interrupted.close()
    resumed = TensorboardSink(tmp_path, last_kept_step=1)
    resumed.write(2, {"reward/mean": 2.0})
    resumed.close()
    events = EventAccumulator(str(tmp_path))
    events.Reload()
    assert [(event.step, event.value) for event in events.Scalars("reward/mean")] == [
        (0, 1.0), (1, 1.0), (2, 2.0)
    ]  # fmt: skip
