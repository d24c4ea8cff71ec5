"""Hands a row of metrics to every place that wants it."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from eva_rl.metrics.table import declared_metric


class MetricSink(Protocol):
    """A place that metrics are written to."""

    def write(self, training_step: int, row: Mapping[str, float]) -> None:
        """Writes the metrics of one training step."""
        ...

    def close(self) -> None:
        """Makes everything durable; nothing is written afterwards."""
        ...


class MetricSinks:
    """Several sinks as one; refuses names that are not declared.

    Args:
        sinks: written in this order.
    """

    def __init__(self, sinks: Sequence[MetricSink]) -> None:
        self._sinks = tuple(sinks)

    def write(self, training_step: int, row: Mapping[str, float]) -> None:
        """Writes one row to every sink.

        Args:
            training_step: key of the row.
            row: value per declared metric name.

        Raises:
            UndeclaredMetricError: before anything is written.
        """
        for name in row:
            declared_metric(name)
        for sink in self._sinks:
            sink.write(training_step, row)

    def close(self) -> None:
        """Closes every sink."""
        for sink in self._sinks:
            sink.close()
