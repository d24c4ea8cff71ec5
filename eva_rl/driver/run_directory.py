"""The directory that describes a run: settings, provenance, metrics, checkpoints, evaluation, report."""

from datetime import datetime
from pathlib import Path

import yaml

from eva_rl.config.align import AlignSettings
from eva_rl.config.section import ConfigError

SETTINGS_FILE = "settings.yaml"


class RunDirectory:
    """Names of everything inside one run directory."""

    def __init__(self, path: Path) -> None:
        self.path = path

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
    def summary(self) -> Path:
        """The before/after table as JSON."""
        return self.path / "summary.json"


def choose_run_directory(settings: AlignSettings) -> RunDirectory:
    """The directory that the settings name, or a new dated one under `runs/`."""
    if settings.run.directory is not None:
        return RunDirectory(settings.run.directory)
    stamp = datetime.now().astimezone().strftime("%Y%m%d-%H%M%S")
    return RunDirectory(Path("runs") / f"{settings.run.name}-{stamp}")


def directory_is_free(settings: AlignSettings) -> str | None:
    """A rule of the settings: a run never writes into another run's directory."""
    directory = settings.run.directory
    if directory is None:
        if settings.run.resume:
            return "run.resume needs run.directory: name the run directory to continue"
        return None
    if directory.exists() and not directory.is_dir():
        return f"run.directory {directory} is a file; give a directory"
    occupied = directory.is_dir() and any(directory.iterdir())
    if settings.run.resume and not (directory / SETTINGS_FILE).is_file():
        return f"run.resume: {directory} holds no run ({SETTINGS_FILE} is missing); leave out --run.resume"
    if occupied and not settings.run.resume:
        return (
            f"run.directory {directory} is not empty; choose another, remove it, "
            "or continue that run with --run.resume true"
        )
    return None


def open_run_directory(settings: AlignSettings) -> RunDirectory:
    """Makes the directory and writes the resolved settings into it.

    Raises:
        ConfigError: when a resumed run's settings differ from those it started with.
    """
    directory = choose_run_directory(settings)
    directory.path.mkdir(parents=True, exist_ok=True)
    resolved = _comparable(settings)
    if settings.run.resume:
        before = yaml.safe_load(directory.settings.read_text())
        problems = [
            f"{section}.{name} is {value!r}, but the run in {directory.path} has "
            f"{before.get(section, {}).get(name)!r}; a resumed run keeps its settings"
            for section, values in resolved.items()
            for name, value in values.items()
            if before.get(section, {}).get(name) != value and section != "cluster"
        ]
        if problems:
            raise ConfigError(problems)
    else:
        directory.settings.write_text(yaml.safe_dump(resolved, sort_keys=False))
    return directory


def _comparable(settings: AlignSettings) -> dict[str, dict[str, object]]:
    """Settings as plain YAML values, without those that only say where and whether to continue."""
    values = settings.model_dump(mode="json")
    for name in ("directory", "resume"):
        del values["run"][name]
    return values
