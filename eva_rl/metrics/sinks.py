"""Hands a row of metrics to every place that wants it."""

from collections.abc import Callable, Mapping, Sequence
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
        sinks: written in this order; what one of them raises is the caller's.
        optional: written after them. One that fails, as a tracking server that is gone or a disk that is
            full, is left out from then on: no such thing may end a run of days.
        tell: receives a line for each that is left out.
    """

    def __init__(
        self,
        sinks: Sequence[MetricSink],
        *,
        optional: Sequence[MetricSink] = (),
        tell: Callable[[str], None] = print,
    ) -> None:
        self._sinks = tuple(sinks)
        self._optional = list(optional)
        self._tell = tell

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
        self._each_optional(lambda sink: sink.write(training_step, row))

    def close(self) -> None:
        """Closes every sink."""
        for sink in self._sinks:
            sink.close()
        self._each_optional(lambda sink: sink.close())

    def _each_optional(self, act: Callable[[MetricSink], None]) -> None:
        for sink in tuple(self._optional):
            try:
                act(sink)
            except Exception as error:  # noqa: BLE001  every tracker's client has errors of its own
                self._optional.remove(sink)
                self._tell(
                    f"{type(sink).__name__} takes no more metrics ({type(error).__name__}: {error}); "
                    "metrics.jsonl goes on"
                )
