"""Everything that lies in the run directory."""

from dataclasses import dataclass
from pathlib import Path

MEANINGS = {
    "settings.yaml": "resolved settings, complete",
    "provenance.json": "command, commit, versions, hardware, model hashes",
    "self_test.json": "start-up checks: figures and allowed ranges",
    "metrics.jsonl": "one JSON object per training step",
    "summary.json": "the before/after comparison",
    "report.html": "this page",
    "tensorboard": "TensorBoard event files",
    "checkpoints": "numbered checkpoints to resume from",
    "adapter": "the final adapter, for pipe.load_lora_weights",
    "demonstrations": "episodes that the run recorded",
    "evaluation/before.parquet": "one row per held-out condition, base policy",
    "evaluation/after.parquet": "one row per held-out condition, aligned policy",
    "evaluation/before.json": "its summary with intervals",
    "evaluation/after.json": "its summary with intervals",
    "evaluation/ladder.json": "success of the rungs below the world model",
    "evaluation/clips": "frames and positions of the scenes shown above",
}
FOLDED = ("tensorboard", "checkpoints", "adapter", "demonstrations", "clips")
UNITS = ("B", "kB", "MB", "GB", "TB")


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One line of the listing.

    Attributes:
        path: relative to the run directory; ends in / for a folder that is shown as one line.
        num_files: in it.
        size: of all of them, as people read it.
        meaning: what it is, where that is known.
    """

    path: str
    num_files: int
    size: str
    meaning: str


def entries_of(directory: Path) -> list[Entry]:
    """Lists files, and folders of many files as one line each."""
    entries = []
    for path in sorted(directory.iterdir()):
        if path.name.startswith("."):
            continue
        if path.is_dir() and path.name not in FOLDED:
            entries += [_entry(inner, directory) for inner in sorted(path.iterdir())]
        else:
            entries.append(_entry(path, directory))
    return entries


def readable_size(num_bytes: float) -> str:
    """Writes a size with three significant digits at most."""
    for unit in UNITS:
        if num_bytes < 1000 or unit == UNITS[-1]:
            return f"{num_bytes:.0f} {unit}" if unit == "B" or num_bytes >= 100 else f"{num_bytes:.1f} {unit}"
        num_bytes /= 1000
    raise AssertionError("the last unit takes every size")


def _entry(path: Path, directory: Path) -> Entry:
    files = [file for file in path.rglob("*") if file.is_file()] if path.is_dir() else [path]
    name = path.relative_to(directory).as_posix()
    return Entry(
        path=name + "/" * path.is_dir(),
        num_files=len(files),
        size=readable_size(sum(file.stat().st_size for file in files)),
        meaning=MEANINGS.get(name, ""),
    )
