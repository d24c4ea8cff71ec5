"""Reads a run directory; what is not there yet is None or empty."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml

from eva_rl.evaluation.store import read_clip, read_outcomes, read_summaries
from eva_rl.metrics import read_rows
from eva_rl.records.evaluation import Estimate, Outcome

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class RunFiles:
    """Everything that a run directory says about itself.

    Attributes:
        directory: the run directory.
        settings: resolved settings by section and name.
        provenance: command, commit, versions, hardware, model hashes.
        metrics: one row per training step.
        before: outcomes of the base policy.
        after: outcomes of the aligned policy.
        ladder: estimates by rung and quantity.
        clips: arrays and words of the fixed scenes, as `read_clip` gives them.
    """

    directory: Path
    settings: dict[str, dict[str, Any]]
    provenance: dict[str, Any]
    metrics: list[dict[str, Any]]
    before: list[Outcome] | None
    after: list[Outcome] | None
    ladder: dict[str, dict[str, Estimate]]
    clips: list[dict[str, Any]]

    @property
    def name(self) -> str:
        """The run's name: as set, otherwise its directory's."""
        return str(self.settings.get("run", {}).get("name") or self.directory.resolve().name)

    @property
    def frame_rate_hz(self) -> float | None:
        """True rate of the clips' frames."""
        return self.settings.get("video", {}).get("frame_rate_hz")


def read_run_files(directory: Path) -> RunFiles:
    """Reads what is there.

    Raises:
        FileNotFoundError: there is no such directory.
    """
    if not directory.is_dir():
        raise FileNotFoundError(
            f"{directory} is no run directory; give one that a run wrote, such as runs/NAME"
        )
    evaluation = directory / "evaluation"
    clip_files = sorted((evaluation / "clips").glob("*.npz"), key=lambda file: (len(file.stem), file.stem))
    return RunFiles(
        directory=directory,
        settings=_read(directory / "settings.yaml", _read_yaml) or {},
        provenance=_read(directory / "provenance.json", _read_json) or {},
        metrics=_read(directory / "metrics.jsonl", read_rows) or [],
        before=_read(evaluation / "before.parquet", read_outcomes),
        after=_read(evaluation / "after.parquet", read_outcomes),
        ladder=_read(evaluation / "ladder.json", read_summaries) or {},
        clips=[read_clip(file) for file in clip_files],
    )


def _read(file: Path, reader: Callable[[Path], T]) -> T | None:
    return reader(file) if file.is_file() else None


def _read_yaml(file: Path) -> Any:
    return yaml.safe_load(file.read_text())


def _read_json(file: Path) -> Any:
    return json.loads(file.read_text())
