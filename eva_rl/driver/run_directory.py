"""The directory that describes a run: settings, provenance, metrics, checkpoints, evaluation, report."""

import json
import os
from datetime import datetime
from pathlib import Path
from typing import Literal

import yaml

from eva_rl.config.align import AlignSettings
from eva_rl.config.section import ConfigError
from eva_rl.driver.settings_change import changed_settings, settings_as_data
from eva_rl.trust.names import is_plain_name

SETTINGS_FILE = "settings.yaml"
FINISHED = "finished"
"""Fact in provenance.json that is written last: when the run ended."""
LEFT_BY_FILE_SYSTEMS = ("lost+found",)


class RunDirectory:
    """Names of everything inside one run directory.

    Attributes:
        continues: the directory held this run before it was opened.
    """

    def __init__(self, path: Path, *, continues: bool = False) -> None:
        self.path = path
        self.continues = continues

    @property
    def settings(self) -> Path:
        """Resolved settings, complete."""
        return self.path / SETTINGS_FILE

    @property
    def provenance(self) -> Path:
        """Command, commit, versions, hardware, model hashes."""
        return self.path / "provenance.json"

    @property
    def metrics(self) -> Path:
        """One JSON object per training step."""
        return self.path / "metrics.jsonl"

    @property
    def ledger(self) -> Path:
        """What was trained on: one JSON object per training step."""
        return self.path / "ledger.jsonl"

    @property
    def trace(self) -> Path:
        """Timeline of driver, learner and members, for ui.perfetto.dev."""
        return self.path / "trace.json"

    @property
    def tensorboard(self) -> Path:
        """TensorBoard event files."""
        return self.path / "tensorboard"

    @property
    def demonstrations(self) -> Path:
        """Episodes recorded by the run itself."""
        return self.path / "demonstrations"

    @property
    def checkpoints(self) -> Path:
        """Numbered checkpoints."""
        return self.path / "checkpoints"

    @property
    def adapter(self) -> Path:
        """The final adapter, for `pipe.load_lora_weights`."""
        return self.path / "adapter"

    @property
    def evaluation(self) -> Path:
        """Outcomes before and after, the ladder, clips."""
        return self.path / "evaluation"

    @property
    def is_finished(self) -> bool:
        """Whether every stage of the run has ended; its report may still be missing."""
        return self.provenance.is_file() and FINISHED in json.loads(self.provenance.read_text())

    @property
    def summary(self) -> Path:
        """The before/after table as JSON."""
        return self.path / "summary.json"


def choose_run_directory(settings: AlignSettings) -> RunDirectory:
    """The directory that the settings name, or a new dated one under `runs/`."""
    if settings.run.directory is not None:
        holds_run = _content(settings.run.directory) == "run"
        return RunDirectory(settings.run.directory, continues=bool(settings.run.resume) and holds_run)
    stamp = datetime.now().astimezone().strftime("%Y%m%d-%H%M%S")
    return RunDirectory(Path("runs") / f"{settings.run.name}-{stamp}")


def directory_is_free(settings: AlignSettings) -> str | None:
    """A rule of the settings: a run never writes into another run's directory."""
    directory, resume = settings.run.directory, settings.run.resume
    if directory is None and not is_plain_name(settings.run.name):
        return (
            "run.name is part of a directory's name: it must hold no / or \\ and not begin with a dot, got "
            f"{settings.run.name!r}"
        )
    if directory is None:
        return "run.resume needs run.directory: name the run directory to continue" if resume else None
    if directory.exists() and not directory.is_dir():
        return f"run.directory {directory} is a file; give a directory"
    content = _content(directory)
    if resume is True and content != "run":
        return (
            f"run.resume: {directory} holds no run ({SETTINGS_FILE} is missing); leave out --run.resume, or "
            "let --run.resume auto start one"
        )
    if resume is False and content != "nothing":
        return (
            f"run.directory {directory} is not empty; choose another, remove it, "
            "or continue that run with --run.resume true"
        )
    if content == "other":
        return (
            f"run.resume = auto: {directory} holds files but no run ({SETTINGS_FILE} is missing); choose "
            "another directory, or empty it"
        )
    return None


def open_run_directory(settings: AlignSettings) -> RunDirectory:
    """Makes the directory and writes the resolved settings into it, or continues the run that it holds.

    Raises:
        ConfigError: when a resumed run's settings differ from those it started with.
    """
    directory = choose_run_directory(settings)
    directory.path.mkdir(parents=True, exist_ok=True)
    if not directory.continues:
        write_whole(directory.settings, yaml.safe_dump(settings_as_data(settings), sort_keys=False))
        return directory
    changes = changed_settings(yaml.safe_load(directory.settings.read_text()), settings_as_data(settings))
    if changes:
        raise ConfigError(
            [
                f"{change.name} is {change.now!r}, but the run in {directory.path} has {change.then!r}; "
                "a resumed run keeps its settings"
                for change in changes
            ]
        )
    return directory


def write_whole(file: Path, text: str) -> None:
    """Publishes a file when it is complete: a killed run must find it whole or not at all."""
    unfinished = file.with_name(f".{file.name}.unfinished")
    unfinished.write_text(text)
    os.replace(unfinished, file)


def _content(directory: Path) -> Literal["nothing", "run", "other"]:
    """What a directory holds; names with a dot, left by killed processes, are nothing."""
    if (directory / SETTINGS_FILE).is_file():
        return "run"
    names = [entry.name for entry in directory.iterdir()] if directory.is_dir() else []
    visible = [name for name in names if not name.startswith(".") and name not in LEFT_BY_FILE_SYSTEMS]
    return "other" if visible else "nothing"
