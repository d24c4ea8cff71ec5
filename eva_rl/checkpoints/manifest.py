"""What a checkpoint holds, byte for byte."""

import hashlib
import json
from pathlib import Path
from typing import Any

MANIFEST = "manifest.json"


class CheckpointError(RuntimeError):
    """A checkpoint that is missing, incomplete or altered; the message names the file."""


def write_manifest(directory: Path, state: dict[str, Any]) -> None:
    """Writes `manifest.json`: the driver's state and the SHA-256 of every file.

    Args:
        directory: the checkpoint, complete but for its manifest.
        state: JSON-serialisable state of the run at this training step.
    """
    files = {str(file.relative_to(directory)): _sha256(file) for file in _files(directory)}
    (directory / MANIFEST).write_text(json.dumps({"state": state, "files": files}, indent=1, sort_keys=True))


def read_manifest(directory: Path) -> dict[str, Any]:
    """The driver's state, after every file has been checked against its hash.

    Raises:
        CheckpointError: naming the first file that is missing or differs.
    """
    try:
        manifest = json.loads((directory / MANIFEST).read_text())
    except (OSError, json.JSONDecodeError) as error:
        raise CheckpointError(
            f"{directory / MANIFEST} cannot be read ({error}); choose another checkpoint"
        ) from None
    for name, expected in sorted(manifest["files"].items()):
        file = directory / name
        if not file.is_file():
            raise CheckpointError(f"{file} is missing from the checkpoint; choose another checkpoint")
        if _sha256(file) != expected:
            raise CheckpointError(f"{file} differs from what was saved; choose another checkpoint")
    return manifest["state"]


def _files(directory: Path) -> list[Path]:
    return sorted(file for file in directory.rglob("*") if file.is_file() and file.name != MANIFEST)


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
