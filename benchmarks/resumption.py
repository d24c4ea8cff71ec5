"""Going on from a file of results: which of its rows still hold."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.arms import Models
from eva_rl.config.align import AlignSettings
from eva_rl.driver.provenance import hash_directory

WHERE_IT_RUNS = {
    "run": ("name", "directory", "resume"),
    "cluster": None,
    "metrics": None,
    "world_model": ("directory",),
    "idm": ("directory",),
}
"""Settings that change no result: all of a section, or these of it. Models count by their contents."""

Row = dict[str, Any]


def fingerprint(settings: AlignSettings, models: Models, *, cpu_seconds: float) -> str:
    """Names everything that decides what one seed of an arm gives, but for the code: 16 hex digits.

    The commit is left out on purpose, or a corrected sentence would cost hours; every row holds its own.

    Args:
        settings: of the seed.
        models: that all arms share.
        cpu_seconds: budget of training.
    """
    values = settings.model_dump(mode="json")
    for section, names in WHERE_IT_RUNS.items():
        left_out = set(values[section]) if names is None else names
        values[section] = {name: value for name, value in values[section].items() if name not in left_out}
    directories = (models.world_model, models.idm, models.judge)
    hashes = [directory and hash_directory(Path(directory)) for directory in directories]
    text = json.dumps([values, hashes, cpu_seconds], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def stored_rows(file: Path) -> list[Row]:
    """Reads the rows of an earlier run.

    Args:
        file: of results; it need not exist.
    """
    return json.loads(file.read_text())["arms"] if file.is_file() else []


def rows_that_hold(rows: Iterable[Row], wanted: Mapping[tuple[str, int], str]) -> list[Row]:
    """The rows whose fingerprint is the one that is wanted now.

    Args:
        rows: of an earlier run.
        wanted: fingerprint per arm and seed.
    """
    return [row for row in rows if wanted.get(key_of(row)) == row.get("fingerprint", "none")]


def key_of(row: Row) -> tuple[str, int]:
    """Arm and seed of a row."""
    return row["arm"], row["seed"]


def in_order(rows: Iterable[Row], wanted: Mapping[tuple[str, int], str]) -> list[Row]:
    """Rows by place of their arm in the table, then by seed.

    Args:
        rows: finished ones.
        wanted: in order of the table.
    """
    names = list(dict.fromkeys(name for name, _ in wanted))
    return sorted(rows, key=lambda row: (names.index(row["arm"]), row["seed"]))
