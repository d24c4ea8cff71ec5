"""Laws of the checkpoint store: whole or absent, verified, limited."""

import os
import signal
import subprocess
import sys
import time

import pytest

from eva_rl.checkpoints.manifest import CheckpointError
from eva_rl.checkpoints.store import CheckpointStore


def save(store, training_step, content=b"weights"):
    (store.begin(training_step) / "adapter.bin").write_bytes(content)
    return store.commit(training_step, {"training_step": training_step})


def test_what_was_saved_is_read_back(tmp_path):
    store = CheckpointStore(tmp_path, keep=2)
    save(store, 3, b"three")
    directory, state = store.read(3)
    assert state == {"training_step": 3}
    assert (directory / "adapter.bin").read_bytes() == b"three"


def test_only_the_newest_are_kept(tmp_path):
    store = CheckpointStore(tmp_path, keep=2)
    for training_step in (1, 2, 3):
        save(store, training_step)
    assert store.training_steps() == [2, 3]


def test_an_unfinished_checkpoint_is_invisible(tmp_path):
    store = CheckpointStore(tmp_path, keep=2)
    save(store, 1)
    (store.begin(2) / "adapter.bin").write_bytes(b"half")
    assert store.training_steps() == [1]


@pytest.mark.parametrize("damage", ["flip", "remove"])
def test_damage_is_named(tmp_path, damage):
    store = CheckpointStore(tmp_path, keep=1)
    file = save(store, 1) / "adapter.bin"
    if damage == "flip":
        file.write_bytes(b"weighty")
    else:
        file.unlink()
    with pytest.raises(CheckpointError, match=r"adapter.bin"):
        store.read(1)


def test_a_missing_checkpoint_says_which_exist(tmp_path):
    store = CheckpointStore(tmp_path, keep=1)
    save(store, 4)
    with pytest.raises(CheckpointError, match=r"training step 7; it has \[4\]"):
        store.read(7)


def test_a_process_killed_while_saving_leaves_whole_checkpoints(tmp_path):
    program = """
import sys
from pathlib import Path
from eva_rl.checkpoints.store import CheckpointStore
store = CheckpointStore(Path(sys.argv[1]), keep=3)
for training_step in range(1, 100000):
    (store.begin(training_step) / "adapter.bin").write_bytes(bytes([training_step % 256]) * 200_000)
    store.commit(training_step, {"training_step": training_step})
"""
    for _ in range(3):
        process = subprocess.Popen([sys.executable, "-c", program, str(tmp_path)])
        store = CheckpointStore(tmp_path, keep=3)
        deadline = time.monotonic() + 30
        while len(store.training_steps()) < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        steps = store.training_steps()
        assert steps
        for training_step in steps:
            _, state = store.read(training_step)
            assert state["training_step"] == training_step
