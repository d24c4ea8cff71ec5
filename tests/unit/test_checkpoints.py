"""Laws of the checkpoint store: whole or absent, verified, limited."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from eva_rl.checkpoints.manifest import MANIFEST, CheckpointError
from eva_rl.checkpoints.retention import Retention
from eva_rl.checkpoints.store import CheckpointStore

FILE = "adapter/weights.bin"


def save(store, training_step, content=b"weights", **state):
    folder = store.begin(training_step)
    files = {FILE: folder.write(FILE, content)}
    return store.commit(training_step, {"training_step": training_step, **state}, files)


def test_what_was_saved_is_read_back(tmp_path):
    store = CheckpointStore(tmp_path, keep=2)
    save(store, 3, b"three")
    folder, state = store.read(3)
    assert state == {"training_step": 3}
    assert folder.read(FILE) == b"three"


def test_only_the_newest_are_kept(tmp_path):
    store = CheckpointStore(tmp_path, keep=2)
    for training_step in (1, 2, 3):
        save(store, training_step)
    assert store.training_steps() == [2, 3]


def test_an_unfinished_checkpoint_is_invisible(tmp_path):
    store = CheckpointStore(tmp_path, keep=2)
    save(store, 1)
    store.begin(2).write(FILE, b"half")
    assert store.training_steps() == [1]


def test_the_best_are_kept_beside_the_newest(tmp_path):
    store = CheckpointStore(tmp_path, keep=Retention(num_newest=1, num_best=2, metric="reward/mean"))
    for training_step, reward in enumerate([1.0, 9.0, 2.0, 8.0, 3.0, 4.0]):
        save(store, training_step, metrics={"reward/mean": reward})
    assert store.training_steps() == [1, 3, 5]


def test_the_lowest_is_best_where_the_settings_say_so():
    retention = Retention(num_newest=1, num_best=1, metric="learner/kl", better="lower")
    assert retention.superfluous({0: 0.2, 1: 0.1, 2: None, 3: 0.3}) == [0, 2]


@pytest.mark.parametrize("damage", ["flip", "remove"])
def test_damage_is_named(tmp_path, damage):
    store = CheckpointStore(tmp_path, keep=1)
    file = Path(save(store, 1).path) / FILE
    if damage == "flip":
        file.write_bytes(b"weighty")
    else:
        file.unlink()
    with pytest.raises(CheckpointError, match=r"weights.bin"):
        store.read(1)


def test_an_altered_entry_of_the_manifest_is_named(tmp_path):
    store = CheckpointStore(tmp_path, keep=1)
    folder = save(store, 1, settings={"seed": 0}, calibration={"penalty_scale": 1.5})
    manifest = json.loads(folder.read(MANIFEST))
    manifest["state"]["calibration"]["penalty_scale"] = 1.25
    folder.write(MANIFEST, json.dumps(manifest).encode())
    with pytest.raises(CheckpointError, match="the entry 'calibration' differs"):
        store.read(1)
    folder.write(MANIFEST, b'{"state"')
    with pytest.raises(CheckpointError, match=r"manifest\.json cannot be read"):
        store.read(1)


def test_a_missing_checkpoint_says_which_exist(tmp_path):
    store = CheckpointStore(tmp_path, keep=1)
    save(store, 4)
    with pytest.raises(CheckpointError, match=r"training step 7; it has \[4\]"):
        store.read(7)


PROGRAM = """
import sys
from eva_rl.checkpoints.store import CheckpointStore
store = CheckpointStore(sys.argv[1], keep=2)
for training_step in range(int(sys.argv[2]), 100000):
    folder = store.begin(training_step)
    names = [f"{index}.bin" for index in range(4)]
    files = {name: folder.write(name, bytes([training_step % 256]) * 50_000) for name in names}
    store.commit(training_step, {"training_step": training_step}, files)
"""


@pytest.mark.parametrize("seed", range(3))
def test_a_process_killed_while_saving_leaves_whole_checkpoints(tmp_path, seed):
    generator = random.Random(seed)
    newest = 0
    for _ in range(6):
        process = subprocess.Popen([sys.executable, "-c", PROGRAM, str(tmp_path), str(newest + 1)])
        store = CheckpointStore(tmp_path, keep=2)
        deadline = time.monotonic() + 60
        while store.training_steps()[-1:] in ([], [newest]) and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(generator.uniform(0, 0.05))  # the instant is random, not awaited
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        steps = store.training_steps()
        assert steps
        for training_step in steps:
            folder, state = store.read(training_step)
            assert state["training_step"] == training_step
            assert folder.read("3.bin") == bytes([training_step % 256]) * 50_000
        newest = steps[-1]
