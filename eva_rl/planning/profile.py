"""Measured seconds per group, from a file, from an earlier run or from this machine; scaled to any counts."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import yaml

from eva_rl.config.align import AlignSettings
from eva_rl.metrics.jsonl import read_rows
from eva_rl.planning.workload import StageTimes, Workload


class ProfileError(ValueError):
    """A profile that cannot be used; the message names the file and what to do."""


@dataclass(frozen=True, kw_only=True)
class Profile:
    """What one group costs, so that counts can be changed on paper.

    Example:
        Profile(generate_s=5.0, score_s=0.7, learn_s=12.0, sync_s=0.1, source="runs/first/metrics.jsonl")

    Attributes:
        generate_s: one generator, per group.
        score_s: one scorer, per group.
        learn_s: one learner rank, per group.
        sync_s: a generator takes over an adapter.
        source: where the figures come from.
    """

    generate_s: float
    score_s: float
    learn_s: float
    sync_s: float
    source: str

    def stage_times(self, settings: AlignSettings) -> StageTimes:
        """Seconds of every stage under these settings.

        Time is taken to grow with the number of groups and to shrink with the learner's ranks, both in
        proportion: ranks that wait for each other's gradients, or calls too small to fill a GPU, cost more.
        """
        size = settings.generators.groups_per_call
        groups = settings.algorithm.groups_per_step
        return StageTimes(
            generate_s=self.generate_s * min(size, groups),
            score_s=self.score_s * min(size, groups),
            learn_s=self.learn_s * groups / settings.learner.num_ranks,
            sync_s=self.sync_s,
        )

    def save(self, file: Path) -> None:
        """Writes a file that `read_profile` reads."""
        file.write_text(json.dumps(asdict(self), indent=1) + "\n")


def read_profile(path: Path) -> Profile:
    """Reads a profile file, or measures an earlier run from its directory or its metrics.jsonl.

    Raises:
        ProfileError: for what is neither.
    """
    if path.is_dir():
        path = path / "metrics.jsonl"
    if not path.is_file():
        raise ProfileError(f"--profile {path} does not exist: name a profile file or a run directory")
    return _of_run(path) if path.suffix == ".jsonl" else _of_file(path)


def workload_of(settings: AlignSettings) -> Workload:
    """The run that the settings describe, as the scheduler sees it."""
    groups = settings.algorithm.groups_per_step
    return Workload(
        num_steps=settings.schedule.num_training_steps,
        groups_per_step=groups,
        groups_per_call=min(settings.generators.groups_per_call, groups),
        num_generators=settings.generators.count,
        num_scorers=settings.scorers.count,
        rollouts_ahead=settings.schedule.rollouts_ahead,
    )


def _of_file(file: Path) -> Profile:
    names = ("generate_s", "score_s", "learn_s", "sync_s")
    try:
        content: Any = json.loads(file.read_text())
        values = {name: float(content[name]) for name in names}
    except (json.JSONDecodeError, KeyError, TypeError, ValueError) as error:
        raise ProfileError(
            f"--profile {file} must be JSON with the numbers {', '.join(names)}, seconds per group: {error}"
        ) from None
    bad = [name for name, value in values.items() if not 0 <= value < float("inf")]
    if bad:
        raise ProfileError(f"--profile {file}: {', '.join(bad)} must be finite and not negative")
    return Profile(**values, source=str(content.get("source", file)))


def _of_run(file: Path) -> Profile:
    """Medians over the training steps; the first, which warms everything up, is left out if it can be."""
    settings_file = file.parent / "settings.yaml"
    try:
        rows = read_rows(file)
        settings = yaml.safe_load(settings_file.read_text())
        groups, ranks = settings["algorithm"]["groups_per_step"], settings["learner"]["num_ranks"]
        rows = rows[1:] or rows
        generate, score, learn, sync = (
            median(row[f"time/{stage}_s"] for row in rows) for stage in ("generate", "score", "learn", "sync")
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ProfileError(
            f"--profile {file} must be the metrics of a run with its settings.yaml beside it: {error}"
        ) from None
    return Profile(
        generate_s=generate / groups,
        score_s=score / groups,
        learn_s=learn * ranks / groups,
        sync_s=sync,
        source=f"{file}, medians of {len(rows)} training steps",
    )
