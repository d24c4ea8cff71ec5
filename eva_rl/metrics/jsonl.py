"""Metrics as one JSON object per line: greppable, appendable, readable while the run goes on."""

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

KEY = "training_step"


class MetricsFileError(RuntimeError):
    """The metrics file cannot be written."""


class JsonlSink:
    """Appends one line per training step: `{"training_step": 3, "reward/mean": 7.9, ...}`.

    Each line reaches the file at once. Values that are not finite are written as null: JSON has no NaN.

    Args:
        file: made if missing, with its directory.
        last_kept_step: rows of later training steps are dropped first, because a resumed run writes them
            again; None drops none.

    Raises:
        MetricsFileError: a row could not be written, as on a full disk. A run without its metrics could not
            be resumed to the same bytes, so this ends it.
    """

    def __init__(self, file: Path, *, last_kept_step: int | None = None) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        if file.is_file():
            kept = [row for row in read_rows(file) if last_kept_step is None or row[KEY] <= last_kept_step]
            _replace(file, "".join(json.dumps(row) + "\n" for row in kept))
        self._file = file
        self._append("")

    def write(self, training_step: int, row: Mapping[str, float]) -> None:
        """Appends one line."""
        values = {name: value if math.isfinite(value) else None for name, value in row.items()}
        self._append(json.dumps({KEY: training_step, **values}, allow_nan=False) + "\n")

    def close(self) -> None:
        """Nothing is left to do: every line is in the file already."""

    def _append(self, text: str) -> None:
        try:
            with self._file.open("a") as stream:
                stream.write(text)
        except OSError as error:
            raise MetricsFileError(
                f"{self._file} cannot be written ({error.strerror}); make room, then continue with "
                "--run.resume auto: the newest checkpoint is whole"
            ) from None


def read_rows(file: Path) -> list[dict[str, Any]]:
    """Reads a metrics file; a last line that a killed process left half-written is passed over.

    Raises:
        ValueError: another line is not a JSON object with a training step; names the line.
    """
    lines = file.read_text().splitlines(keepends=True)
    rows: list[dict[str, Any]] = []
    for number, line in enumerate(lines, start=1):
        is_cut = number == len(lines) and not line.endswith("\n")
        try:
            row = json.loads(line)
            row[KEY]
        except (json.JSONDecodeError, TypeError, KeyError):
            if is_cut:
                break
            raise ValueError(
                f"{file} line {number} is not a JSON object with {KEY!r}: {line.strip()[:80]!r}; "
                "remove the line"
            ) from None
        rows.append(row)
    return rows


def _replace(file: Path, text: str) -> None:
    """Exchanges the file's content at once: a process killed here must not lose the metrics."""
    unfinished = file.with_name(f".{file.name}.unfinished")
    unfinished.write_text(text)
    os.replace(unfinished, file)
