"""What a run measures about itself, and where it is written."""

from eva_rl.metrics.jsonl import JsonlSink, read_rows
from eva_rl.metrics.sinks import MetricSink, MetricSinks
from eva_rl.metrics.table import METRIC_FAMILIES, METRICS, Metric, UndeclaredMetricError, declared_metric
from eva_rl.metrics.tensorboard import TensorboardSink

__all__ = [
    "METRICS",
    "METRIC_FAMILIES",
    "JsonlSink",
    "Metric",
    "MetricSink",
    "MetricSinks",
    "TensorboardSink",
    "UndeclaredMetricError",
    "declared_metric",
    "read_rows",
]
