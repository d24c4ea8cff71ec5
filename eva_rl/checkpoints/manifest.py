"""What a checkpoint holds, byte for byte."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from eva_rl.checkpoints.folder import Folder
from eva_rl.trust.names import is_inside

MANIFEST = "manifest.json"
FORMAT = 2


class CheckpointError(RuntimeError):
    """A checkpoint that is missing, incomplete or altered; the message names the file or entry."""


def write_manifest(folder: Folder, state: Mapping[str, Any], files: Mapping[str, str]) -> None:
    """Writes `manifest.json`, which makes the checkpoint one: it is written last.

    Args:
        folder: the checkpoint's directory, complete but for its manifest.
        state: JSON-serialisable state of the run at this training step.
        files: SHA-256 of every file, by its relative name, as its writer computed it.

    Raises:
        OSError: the disk is full, or the store does not answer.
    """
    seals = {name: _sha256(value) for name, value in state.items()} | {"files": _sha256(files)}
    content = {"format": FORMAT, "state": state, "files": files, "seals": seals}
    folder.write(MANIFEST, json.dumps(content, indent=1, sort_keys=True).encode())


def read_state(folder: Folder) -> dict[str, Any]:
    """The driver's state, with every entry checked against its seal; files are not looked at.

    Raises:
        CheckpointError: naming the first entry that was altered.
    """
    return _read(folder)["state"]


def read_manifest(folder: Folder) -> dict[str, Any]:
    """The driver's state, after every entry and every file has been checked against its hash.

    Raises:
        CheckpointError: naming the first entry or file that is missing or differs.
    """
    manifest = _read(folder)
    for name, expected in sorted(manifest["files"].items()):
        if not is_inside(name):
            raise CheckpointError(
                f"{folder}/{MANIFEST} names {name!r}, which does not lie in the checkpoint; do not use it"
            )
        try:
            content = folder.read(name)
        except OSError:
            raise CheckpointError(
                f"{folder}/{name} is missing from the checkpoint; choose another checkpoint"
            ) from None
        if hashlib.sha256(content).hexdigest() != expected:
            raise CheckpointError(f"{folder}/{name} differs from what was saved; choose another checkpoint")
    return manifest["state"]


def read_file_hashes(folder: Folder) -> dict[str, str]:
    """SHA-256 of every file of a checkpoint, by its relative name, as it was written.

    Raises:
        CheckpointError: the manifest was altered.
    """
    return _read(folder)["files"]


def _read(folder: Folder) -> dict[str, Any]:
    file = f"{folder}/{MANIFEST}"
    try:
        manifest = json.loads(folder.read(MANIFEST))
        version, state, seals = manifest["format"], manifest["state"], manifest["seals"]
        sealed = {**state, "files": manifest["files"]}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{file} cannot be read ({error!r}); choose another checkpoint") from None
    if version != FORMAT:
        raise CheckpointError(f"{file} has format {version}, this version reads format {FORMAT}")
    for name in sorted({*sealed, *seals}):
        if name not in sealed or seals.get(name) != _sha256(sealed[name]):
            raise CheckpointError(
                f"{file}: the entry {name!r} differs from what was saved; choose another checkpoint"
            )
    return manifest


def _sha256(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
