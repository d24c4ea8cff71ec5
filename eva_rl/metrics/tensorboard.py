"""Metrics as TensorBoard event files."""

from collections.abc import Mapping
from pathlib import Path


class TensorboardSink:
    """Writes every metric as a scalar, plotted over the training step.

    Args:
        directory: of the event files; made if missing.
        last_kept_step: hides what an interrupted run wrote for later training steps; None hides nothing.
    """

    def __init__(self, directory: Path, *, last_kept_step: int | None = None) -> None:
        # TensorBoard takes over a second to import, and runs may do without it.
        from torch.utils.tensorboard.writer import SummaryWriter

        purge_step = None if last_kept_step is None else last_kept_step + 1
        self._writer = SummaryWriter(log_dir=str(directory), purge_step=purge_step)

    def write(self, training_step: int, row: Mapping[str, float]) -> None:
        """Adds one point to every curve and flushes, so that a dashboard follows the run."""
        for name, value in row.items():
            self._writer.add_scalar(name, value, global_step=training_step)
        self._writer.flush()

    def close(self) -> None:
        """Closes the event file."""
        self._writer.close()
