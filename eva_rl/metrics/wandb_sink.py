"""Metrics in Weights & Biases; needs the extra `tracking`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal


class WandbSink:
    """Logs every row under its training step.

    Args:
        directory: where wandb keeps its files.
        project: project on the server.
        run: name of the run.
        mode: offline writes files for `wandb sync`; online sends them, too.
        settings: of the run, shown beside it.
    """

    def __init__(
        self,
        directory: Path,
        *,
        project: str,
        run: str,
        mode: Literal["offline", "online"],
        settings: Mapping[str, Any],
    ) -> None:
        import wandb  # pyright: ignore[reportMissingImports]  optional, and slow to import

        directory.mkdir(parents=True, exist_ok=True)
        self._run = wandb.init(
            dir=str(directory),
            project=project,
            name=run,
            mode=mode,
            config=dict(settings),
            settings=wandb.Settings(console="off", silent=True),  # the terminal belongs to the run's progress
        )

    def write(self, training_step: int, row: Mapping[str, float]) -> None:
        """Logs one row."""
        self._run.log(dict(row), step=training_step)

    def close(self) -> None:
        """Ends the run."""
        self._run.finish()
