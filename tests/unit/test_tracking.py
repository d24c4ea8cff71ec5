"""Weights & Biases and MLflow, offline and for real, where the extra `tracking` is installed."""

import json
import struct
import time
from pathlib import Path

import pytest

from eva_rl.metrics.mlflow_sink import MlflowSink
from eva_rl.metrics.wandb_sink import WandbSink

ROWS = [{"reward/mean": 1.5 * step, "learner/kl": float("nan")} for step in range(3)]
BLOCK, FILE_HEADER, RECORD_HEADER = 2**15, 7, 7


def wandb_records(file):
    """The records of wandb's offline file: LevelDB's log format, with protobuf messages in it."""
    from wandb.proto.wandb_internal_pb2 import Record

    data, position, parts = Path(file).read_bytes(), FILE_HEADER, b""
    while position + RECORD_HEADER <= len(data):
        if BLOCK - position % BLOCK < RECORD_HEADER:  # the rest of a block holds no header
            position += BLOCK - position % BLOCK
            continue
        _, length, kind = struct.unpack_from("<IHB", data, position)
        position += RECORD_HEADER
        parts += data[position : position + length]
        position += length
        if kind in (1, 4):  # whole, or the last of several
            record = Record()
            record.ParseFromString(parts)
            parts = b""
            yield record


def rewards_in(file):
    found = []
    for record in wandb_records(file):
        if record.WhichOneof("record_type") == "history":
            items = {item.key or "/".join(item.nested_key): item.value_json for item in record.history.item}
            found.append((record.history.step.num, json.loads(items["reward/mean"])))
    return found


@pytest.mark.filterwarnings("ignore")
def test_wandb_offline_files_hold_every_row_under_its_step(tmp_path):
    pytest.importorskip("wandb")
    sink = WandbSink(tmp_path, project="eva", run="r", mode="offline", settings={"run": {"seed": 3}})
    for step, row in enumerate(ROWS):
        sink.write(step, row)
    sink.close()
    (file,) = tmp_path.glob("wandb/offline-run-*/*.wandb")
    wanted, deadline = [(0, 0.0), (1, 1.5), (2, 3.0)], time.monotonic() + 30
    while (seen := rewards_in(file)) != wanted and time.monotonic() < deadline:
        time.sleep(0.1)  # another process writes the file
    assert seen == wanted


@pytest.mark.filterwarnings("ignore")
def test_mlflow_files_hold_every_finite_value_under_its_step(tmp_path):
    pytest.importorskip("mlflow")
    uri = f"file:{tmp_path}/mlruns"
    sink = MlflowSink(uri, experiment="eva", run="r", parameters={"run.seed": "3"})
    for step, row in enumerate(ROWS):
        sink.write(step, row)
    sink.close()

    from mlflow.tracking import MlflowClient

    client = MlflowClient(uri)
    (run,) = client.search_runs([client.get_experiment_by_name("eva").experiment_id])
    assert run.info.run_name == "r"
    assert run.info.status == "FINISHED"
    assert run.data.params == {"run.seed": "3"}
    history = client.get_metric_history(run.info.run_id, "reward/mean")
    assert [(point.step, point.value) for point in history] == [(0, 0.0), (1, 1.5), (2, 3.0)]
    assert client.get_metric_history(run.info.run_id, "learner/kl") == []
