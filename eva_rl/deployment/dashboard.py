"""A run's Grafana dashboard, from the metric table: no expression can name what nobody exports."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from eva_rl.metrics.exported_names import (
    MEMBER_TAG,
    RAY_PREFIX,
    RUN_TAG,
    TRAINING_STEP,
    distribution_name,
    exported_family,
    exported_name,
)
from eva_rl.metrics.table import METRIC_FAMILIES

SCHEMA_VERSION = 39
"""Of Grafana 10.4 to 11; newer ones migrate it."""
WIDTH, HEIGHT, PER_ROW = 8, 8, 3
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One plot over time.

    Attributes:
        title: above the plot.
        metrics: names of METRICS or keys of METRIC_FAMILIES, all of one unit.
        unit: as Grafana names it.
        is_stacked: for parts of a whole.
        has_distribution: a heat map of a row of HISTOGRAMS instead of lines.
    """

    title: str
    metrics: Sequence[str]
    unit: str = "short"
    is_stacked: bool = False
    has_distribution: bool = False


def dashboard() -> str:
    """The dashboard as the JSON file that Grafana imports."""
    content = {
        "title": "eva_rl",
        "uid": "eva-rl",
        "schemaVersion": SCHEMA_VERSION,
        "version": 1,
        "editable": True,
        "refresh": "10s",
        "time": {"from": "now-6h", "to": "now"},
        "tags": ["eva_rl", "ray"],
        "templating": {"list": [_datasource_choice(), _run_choice()]},
        "panels": [_panel(number, panel) for number, panel in enumerate(PANELS)],
    }
    return json.dumps(content, indent=1) + "\n"


def _panel(number: int, panel: Panel) -> dict[str, Any]:
    place = {"w": WIDTH, "h": HEIGHT, "x": number % PER_ROW * WIDTH, "y": number // PER_ROW * HEIGHT}
    targets = [_target(panel, metric, chr(ord("A") + index)) for index, metric in enumerate(panel.metrics)]
    common = {"id": number + 1, "title": panel.title, "gridPos": place, "datasource": DATASOURCE}
    if panel.has_distribution:
        return {**common, "type": "heatmap", "targets": targets, "options": {"calculate": False}}
    stacking = {"mode": "normal" if panel.is_stacked else "none"}
    custom = {"fillOpacity": 30 if panel.is_stacked else 0, "stacking": stacking}
    return {
        **common,
        "type": "timeseries",
        "targets": targets,
        "fieldConfig": {"defaults": {"unit": panel.unit, "custom": custom}, "overrides": []},
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}},
    }


def _target(panel: Panel, metric: str, letter: str) -> dict[str, Any]:
    chosen = f'{{{RUN_TAG}=~"$run"}}'
    if panel.has_distribution:
        series = f"{distribution_name(metric).series}_bucket"
        return {"refId": letter, "expr": f"sum by (le) ({series}{chosen})", "format": "heatmap"}
    if metric in METRIC_FAMILIES:
        series, legend = exported_family(metric).series, f"{{{{{MEMBER_TAG}}}}}"
    else:
        series, legend = exported_name(metric).series, metric.partition("/")[2]
    return {"refId": letter, "expr": f"{series}{chosen}", "legendFormat": f"{legend} ({{{{{RUN_TAG}}}}})"}


def _datasource_choice() -> dict[str, Any]:
    return {"name": "datasource", "type": "datasource", "query": "prometheus"}


def _run_choice() -> dict[str, Any]:
    return {
        "name": RUN_TAG,
        "type": "query",
        "datasource": DATASOURCE,
        "query": f"label_values({RAY_PREFIX}{TRAINING_STEP}, {RUN_TAG})",
        "refresh": 2,
        "multi": True,
        "includeAll": True,
    }


PANELS: Sequence[Panel] = (
    Panel(title="Reward", metrics=("reward/mean", "reward/std_within_group")),
    Panel(title="Cost per reward term", metrics=("reward/term/",), is_stacked=True),
    Panel(title="Rollouts per second", metrics=("rollouts/per_s",)),
    Panel(
        title="A training step's wall time",
        metrics=("time/wait_s", "time/learn_s", "time/sync_s", "time/record_s"),
        unit="s",
        is_stacked=True,
    ),
    Panel(
        title="Work per training step, summed over actors",
        metrics=("time/generate_s", "time/score_s"),
        unit="s",
    ),
    Panel(title="CPU-seconds per training step", metrics=("time/cpu_s", "time/learn_cpu_s"), unit="s"),
    Panel(title="Orders that wait for a member", metrics=("queue/",)),
    Panel(title="Members that are ready", metrics=("members/",)),
    Panel(title="Version of the adapter", metrics=("adapter/training_step",)),
    Panel(
        title="Losses survived",
        metrics=(
            "faults/replaced_members",
            "faults/hung_members",
            "faults/repeated_orders",
            "faults/remade_inputs",
        ),
    ),
    Panel(title="Staleness of the batches", metrics=("rollouts/staleness",), has_distribution=True),
    Panel(title="Bytes of adapters sent", metrics=("sync/adapter_bytes",), unit="bytes"),
    Panel(title="Alarms of reward hacking", metrics=("sentinel/",)),
    Panel(title="Distance to the reference policy", metrics=("learner/kl",)),
    Panel(title="Gradient norm", metrics=("learner/grad_norm", "learner/skipped")),
    Panel(title="Rollouts that could not be judged", metrics=("reward/abstained",)),
)
"""Every plot of the dashboard, three in a row."""
