"""Numbered checkpoints in one directory: atomic, verified, limited in number."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from eva_rl.checkpoints.folder import Folder
from eva_rl.checkpoints.manifest import (
    MANIFEST,
    CheckpointError,
    read_manifest,
    read_state,
    write_manifest,
)
from eva_rl.checkpoints.retention import METRICS, Retention

_NAME = re.compile(r"step_(\d{6,})")


class CheckpointStore:
    """Checkpoints `step_000020`, `step_000040`, … under one directory, on disk or in an object store.

    A checkpoint is there when its manifest is, which is written last and removed first. So a process killed
    at any instant leaves the whole checkpoint or none, also on stores that cannot rename.

    Args:
        directory: a local path, or a folder on any file system.
        keep: which checkpoints stay; a number keeps that many of the newest.
    """

    def __init__(self, directory: Path | str | Folder, *, keep: int | Retention) -> None:
        self.folder = directory if isinstance(directory, Folder) else Folder.local(directory)
        self._retention = Retention(num_newest=keep) if isinstance(keep, int) else keep

    def begin(self, training_step: int) -> Folder:
        """An empty directory to write the checkpoint of `training_step` into."""
        self._discard(training_step)
        return self._of(training_step)

    def commit(self, training_step: int, state: Mapping[str, Any], files: Mapping[str, str]) -> Folder:
        """Publishes what was written, then removes the checkpoints that need not stay.

        Args:
            training_step: as given to `begin`.
            state: JSON-serialisable state of the run.
            files: SHA-256 of every file that was written.
        """
        folder = self._of(training_step)
        write_manifest(folder, state, files)
        for step in self._retention.superfluous({step: self._value(step) for step in self.training_steps()}):
            self._discard(step)
        return folder

    def abandon(self, training_step: int) -> None:
        """Removes what was written of a checkpoint that could not be completed."""
        self._of(training_step).remove()

    def training_steps(self) -> list[int]:
        """Training steps that have a complete checkpoint, ascending."""
        parts = [name.split("/") for name in self.folder.names()]
        matches = [_NAME.fullmatch(part[0]) for part in parts if len(part) == 2 and part[1] == MANIFEST]
        return sorted(int(match[1]) for match in matches if match)

    def read(self, training_step: int) -> tuple[Folder, dict[str, Any]]:
        """Directory and driver state of one checkpoint, verified.

        Raises:
            CheckpointError: when it does not exist, or an entry or file is missing or altered.
        """
        if training_step not in (steps := self.training_steps()):
            raise CheckpointError(
                f"{self.folder} has no checkpoint of training step {training_step}; it has {steps}"
            )
        folder = self._of(training_step)
        return folder, read_manifest(folder)

    def at(self, training_step: int) -> Folder:
        """Where the checkpoint of a training step lies, checked or not."""
        return self._of(training_step)

    def _value(self, training_step: int) -> float | None:
        """What the checkpoint is ranked by; one that cannot be read is never best."""
        try:
            return read_state(self._of(training_step)).get(METRICS, {}).get(self._retention.metric)
        except CheckpointError:
            return None

    def _discard(self, training_step: int) -> None:
        """Removes a checkpoint at once from sight, then the rest: a half-removed one must not be found."""
        folder = self._of(training_step)
        folder.remove_file(MANIFEST)
        folder.remove()

    def _of(self, training_step: int) -> Folder:
        return self.folder / f"step_{training_step:06d}"
