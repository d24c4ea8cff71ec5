"""How a metric is called in Prometheus: one rule, for the exporter and for the dashboard."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from eva_rl.metrics.table import METRIC_FAMILIES, METRICS, declared_metric

PREFIX = "eva_rl_"
RAY_PREFIX = "ray_"
"""Ray puts it before every metric of an application."""
RUN_TAG, MEMBER_TAG = "run", "member"
TRAINING_STEP = PREFIX + "training_step"
"""The step that the other values are of."""

HISTOGRAMS: Mapping[str, tuple[float, ...]] = {"rollouts/staleness": (0.5, 1.5, 2.5, 4.5, 8.5, 16.5)}
"""Metrics that are also exported as `<name>_distribution` over the run's steps, with the buckets' bounds."""


@dataclass(frozen=True, kw_only=True)
class ExportedName:
    """A metric's name in Prometheus, without Ray's prefix, and the member of its family.

    Example:
        ExportedName(name="eva_rl_reward_term", member="jerk")
    """

    name: str
    member: str | None = None

    @property
    def series(self) -> str:
        """The name as Prometheus stores it."""
        return RAY_PREFIX + self.name


def exported_name(metric: str) -> ExportedName:
    """The exported name of a declared metric; members of a family share one name.

    Raises:
        UndeclaredMetricError: the metric is not declared.
    """
    declared_metric(metric)
    if metric in METRICS:
        return ExportedName(name=_name(metric))
    prefix = next(prefix for prefix in METRIC_FAMILIES if metric.startswith(prefix))
    return ExportedName(name=_name(prefix.rstrip("/")), member=metric.removeprefix(prefix))


def exported_family(prefix: str) -> ExportedName:
    """The name that all members of a family share.

    Args:
        prefix: key of METRIC_FAMILIES.
    """
    return ExportedName(name=_name(prefix.rstrip("/")))


def distribution_name(metric: str) -> ExportedName:
    """The name of a row of HISTOGRAMS; Prometheus adds `_bucket`, `_count` and `_sum`."""
    return ExportedName(name=f"{exported_name(metric).name}_distribution")


def all_series() -> set[str]:
    """Every series that a run may export, as Prometheus stores it."""
    series = {exported_name(metric).series for metric in METRICS}
    series |= {exported_family(prefix).series for prefix in METRIC_FAMILIES}
    for metric in HISTOGRAMS:
        series |= {f"{distribution_name(metric).series}_{part}" for part in ("bucket", "count", "sum")}
    return series | {RAY_PREFIX + TRAINING_STEP}


def _name(metric: str) -> str:
    return PREFIX + re.sub(r"[^a-zA-Z0-9]+", "_", metric)
