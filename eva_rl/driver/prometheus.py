"""Metrics through Ray's metrics port, where Prometheus scrapes every node of a cluster."""

import math
from collections.abc import Mapping

from ray.util.metrics import Gauge, Histogram

from eva_rl.metrics.exported_names import (
    HISTOGRAMS,
    MEMBER_TAG,
    RUN_TAG,
    TRAINING_STEP,
    ExportedName,
    distribution_name,
    exported_name,
)
from eva_rl.metrics.table import declared_metric


class PrometheusSink:
    """Sets one gauge per metric; Ray's agent exports the last value until the driver ends.

    Args:
        run: name of the run, the tag that tells runs of one cluster apart.
    """

    def __init__(self, run: str) -> None:
        self._run = run
        self._gauges: dict[str, Gauge] = {}
        self._histograms: dict[str, Histogram] = {}

    def write(self, training_step: int, row: Mapping[str, float]) -> None:
        """Sets the gauges; a value that is not finite leaves its gauge as it is."""
        self._set(ExportedName(name=TRAINING_STEP), training_step, meaning="training step of the last values")
        for metric, value in row.items():
            if not math.isfinite(value):
                continue
            declared = declared_metric(metric)
            self._set(exported_name(metric), value, meaning=f"{declared.meaning} [{declared.unit}]")
            if metric in HISTOGRAMS:
                self._histogram(metric).observe(value, tags={RUN_TAG: self._run})

    def close(self) -> None:
        """Nothing to make durable: Prometheus has what it scraped."""

    def _set(self, exported: ExportedName, value: float, *, meaning: str) -> None:
        tags = {RUN_TAG: self._run} | ({MEMBER_TAG: exported.member} if exported.member else {})
        if exported.name not in self._gauges:
            self._gauges[exported.name] = Gauge(exported.name, description=meaning, tag_keys=tuple(tags))
        self._gauges[exported.name].set(value, tags=tags)

    def _histogram(self, metric: str) -> Histogram:
        name = distribution_name(metric).name
        if name not in self._histograms:
            self._histograms[name] = Histogram(
                name,
                description=f"{declared_metric(metric).meaning}, one value per training step",
                boundaries=list(HISTOGRAMS[metric]),
                tag_keys=(RUN_TAG,),
            )
        return self._histograms[name]
