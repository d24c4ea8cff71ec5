"""Numbered checkpoints in a run directory: atomic, verified, limited in number."""

import os
import re
import shutil
from pathlib import Path
from typing import Any

from eva_rl.checkpoints.manifest import CheckpointError, read_manifest, write_manifest

_NAME = re.compile(r"step_(\d{6})")


class CheckpointStore:
    """Checkpoints `step_000020`, `step_000040`, … under one directory.

    A checkpoint is written into a directory that starts with a dot and renamed when complete, so a
    process killed at any instant leaves either the whole checkpoint or none.
    """

    def __init__(self, directory: Path, *, keep: int) -> None:
        self.directory = directory
        self.keep = keep

    def begin(self, training_step: int) -> Path:
        """An empty directory to write the checkpoint of `training_step` into."""
        unfinished = self._unfinished(training_step)
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
        return unfinished

    def commit(self, training_step: int, state: dict[str, Any]) -> Path:
        """Hashes, makes durable and publishes what was written; drops the oldest beyond `keep`."""
        unfinished, final = self._unfinished(training_step), self._final(training_step)
        write_manifest(unfinished, state)
        for file in unfinished.rglob("*"):
            if file.is_file():
                _flush_to_disk(file)
        self._discard(final)
        os.replace(unfinished, final)
        _flush_to_disk(self.directory)
        for old in self.training_steps()[: -self.keep]:
            self._discard(self._final(old))
        return final

    def training_steps(self) -> list[int]:
        """Training steps that have a complete checkpoint, ascending."""
        if not self.directory.is_dir():
            return []
        matches = (_NAME.fullmatch(entry.name) for entry in self.directory.iterdir())
        return sorted(int(match[1]) for match in matches if match)

    def read(self, training_step: int) -> tuple[Path, dict[str, Any]]:
        """Directory and driver state of one checkpoint, verified.

        Raises:
            CheckpointError: when it does not exist or a file is missing or altered.
        """
        directory = self._final(training_step)
        if not directory.is_dir():
            raise CheckpointError(
                f"{self.directory} has no checkpoint of training step {training_step}; "
                f"it has {self.training_steps()}"
            )
        return directory, read_manifest(directory)

    def _discard(self, checkpoint: Path) -> None:
        """Removes a checkpoint at once from sight, then from disk: a half-removed one must not be found."""
        if checkpoint.is_dir():
            hidden = checkpoint.with_name(f".discarded_{checkpoint.name}")
            shutil.rmtree(hidden, ignore_errors=True)
            os.replace(checkpoint, hidden)
            shutil.rmtree(hidden)

    def _final(self, training_step: int) -> Path:
        return self.directory / f"step_{training_step:06d}"

    def _unfinished(self, training_step: int) -> Path:
        return self.directory / f".unfinished_{training_step:06d}"


def _flush_to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
