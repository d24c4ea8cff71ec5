"""`eva-rl verify` names the first thing that was tampered with, whatever it is."""

import json
from pathlib import Path

import pytest
from safetensors.numpy import load_file, save_file

from eva_rl.checkpoints.folder import Folder
from eva_rl.checkpoints.manifest import CheckpointError, read_file_hashes, read_state, write_manifest
from eva_rl.driver.verification import verify_checkpoint, verify_run
from tests.unit.booked import state_after, store_in
from tests.unit.test_cli import call

STEP = "step_000003"


@pytest.fixture
def run(tmp_path):
    (tmp_path / "settings.yaml").write_text("schedule: {}\n")
    state_after(3, store_in(tmp_path / "checkpoints"), file=tmp_path / "ledger.jsonl")
    return tmp_path


def sealed_again(folder, change):
    """What a forger does who knows the manifest's form: alters a file and renews its hash and the seals."""
    state, files = read_state(folder), read_file_hashes(folder)
    change(state, files)
    write_manifest(folder, state, files)


def test_a_whole_run_is_told_so(run, capsys):
    assert call("verify", run) == 0
    assert "training steps 1, 2, 3" in capsys.readouterr().out
    assert call("verify", run / "checkpoints" / STEP) == 0


def forge_policy(folder):
    file = Path(folder.path) / "policies.safetensors"
    values = load_file(file)
    save_file({name: value + 1 for name, value in values.items()}, file)
    sealed_again(
        folder, lambda state, files: files.update({file.name: folder.write(file.name, file.read_bytes())})
    )


def forge_ledger(folder):
    lines = folder.read("ledger.jsonl").decode().splitlines()[:-1]
    content = "".join(f"{line}\n" for line in lines).encode()
    sealed_again(
        folder, lambda state, files: files.update({"ledger.jsonl": folder.write("ledger.jsonl", content)})
    )


def forge_hash(folder):
    sealed_again(folder, lambda state, files: state["policies"].update({"3": "0" * 16}))


DAMAGE = {
    "a flipped byte": (
        lambda folder: folder.write("averages.safetensors", b"x"),
        r"averages\.safetensors differs",
    ),
    "a file put in": (lambda folder: folder.write("evil.bin", b"x"), r"evil\.bin is not in the manifest"),
    "an altered entry": (
        lambda folder: folder.write(
            "manifest.json",
            json.dumps(json.loads(folder.read("manifest.json")) | {"files": {}}).encode(),
        ),
        "the entry 'files' differs",
    ),
    "a forged adapter": (forge_policy, r"policies\.safetensors: the adapter of training step 3 has the hash"),
    "a shortened ledger": (forge_ledger, r"ledger\.jsonl is not the ledger that the manifest names"),
    "a forged version": (forge_hash, "the manifest names adapter 0000000000000000 of training step 3"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_what_was_tampered_with_is_named(run, damage, capsys):
    change, message = DAMAGE[damage]
    folder = Folder.local(run / "checkpoints" / STEP)
    change(folder)
    with pytest.raises(CheckpointError, match=message):
        verify_checkpoint(folder)
    assert call("verify", run) == 1
    assert STEP in capsys.readouterr().err


def test_a_run_whose_ledger_tells_another_story_is_named(run):
    file = run / "ledger.jsonl"
    file.write_text("".join(file.read_text().splitlines(keepends=True)[:2]))
    with pytest.raises(CheckpointError, match="another story than the checkpoint of training step 3"):
        verify_run(run, store_in(run / "checkpoints"))
