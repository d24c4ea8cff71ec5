"""The laws of the checkpoint store hold where nothing can be renamed."""

import pickle

import pytest

from eva_rl.checkpoints.folder import Folder
from eva_rl.checkpoints.manifest import CheckpointError
from eva_rl.checkpoints.retention import Retention
from eva_rl.checkpoints.store import CheckpointStore
from eva_rl.data.storage import filesystem_of, join
from tests.unit.object_store import served
from tests.unit.writable_object_store import WritableHandler

FILE = "adapter/weights.bin"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with served(tmp_path, WritableHandler) as uri:
        yield Folder(*filesystem_of(join(uri, "runs", "checkpoints")))


def save(store, training_step, content=b"weights", **state):
    folder = store.begin(training_step)
    files = {FILE: folder.write(FILE, content)}
    return store.commit(training_step, {"training_step": training_step, **state}, files)


def test_checkpoints_come_and_go_in_an_object_store(folder, tmp_path):
    store = CheckpointStore(folder, keep=Retention(num_newest=1, num_best=1))
    assert store.training_steps() == []
    for training_step, reward in enumerate([1.0, 5.0, 2.0, 3.0]):
        save(store, training_step, bytes([training_step]) * 2_000_000, metrics={"reward/mean": reward})
    assert store.training_steps() == [1, 3]
    place, state = store.read(3)
    assert state["training_step"] == 3
    assert place.read(FILE) == bytes([3]) * 2_000_000
    (tmp_path / "runs" / "checkpoints" / "step_000003" / FILE).write_bytes(b"x")
    with pytest.raises(CheckpointError, match=r"weights\.bin differs"):
        store.read(3)


def test_without_its_manifest_a_checkpoint_is_not_there(folder):
    store = CheckpointStore(folder, keep=3)
    save(store, 1)
    store.begin(2).write(FILE, b"half")
    assert store.training_steps() == [1]
    save(store, 2, b"whole")
    assert store.read(2)[0].read(FILE) == b"whole"


def test_a_store_that_refuses_leaves_what_was_there(folder, monkeypatch):
    store = CheckpointStore(folder, keep=1)
    save(store, 1)
    monkeypatch.setattr(WritableHandler, "refuses", True)
    with pytest.raises(OSError, match=r"QuotaExceeded|403|Forbidden|ACCESS_DENIED"):
        save(store, 2)
    assert store.training_steps() == [1]
    store.read(1)


def test_a_folder_travels_between_processes(folder):
    there = pickle.loads(pickle.dumps(folder))
    there.write("hello", b"from there")
    assert folder.read("hello") == b"from there"
