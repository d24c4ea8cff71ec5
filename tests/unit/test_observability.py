"""Names in Prometheus, the dashboard that uses them, and the timeline of a run."""

import json
import re
from pathlib import Path

import pytest

from eva_rl.deployment.dashboard import PANELS, SCHEMA_VERSION, dashboard
from eva_rl.metrics.exported_names import HISTOGRAMS, all_series, exported_name
from eva_rl.metrics.table import METRIC_FAMILIES, METRICS, UndeclaredMetricError
from eva_rl.metrics.trace import TraceFile, read_events, read_spans
from eva_rl.records.span import Span

ROOT = Path(__file__).parents[2]
DASHBOARD = ROOT / "cluster" / "grafana" / "eva_rl.json"


def test_a_metric_is_a_gauge_and_a_member_of_a_family_a_label():
    assert exported_name("time/learn_cpu_s").series == "ray_eva_rl_time_learn_cpu_s"
    term = exported_name("reward/term/jerk")
    assert (term.series, term.member) == ("ray_eva_rl_reward_term", "jerk")
    assert exported_name("sentinel_value/frozen_video").name == "eva_rl_sentinel_value"
    with pytest.raises(UndeclaredMetricError):
        exported_name("time/lern_s")


def test_every_metric_has_a_name_of_its_own_that_prometheus_takes():
    names = [exported_name(metric).name for metric in METRICS]
    names += [exported_name(prefix + "x").name for prefix in METRIC_FAMILIES]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-z_][a-z0-9_]*", name) for name in names)
    assert set(HISTOGRAMS) <= set(METRICS)


def test_the_committed_dashboard_is_what_the_table_gives():
    assert DASHBOARD.read_text() == dashboard(), (
        "write it again: eva-rl cluster dashboard > cluster/grafana/eva_rl.json"
    )


def test_every_expression_of_the_dashboard_asks_for_an_exported_series():
    content = json.loads(DASHBOARD.read_text())
    assert content["schemaVersion"] == SCHEMA_VERSION
    assert len(content["panels"]) == len(PANELS)
    assert len({panel["id"] for panel in content["panels"]}) == len(PANELS)
    expressions = [target["expr"] for panel in content["panels"] for target in panel["targets"]]
    expressions += [variable["query"] for variable in content["templating"]["list"]]
    asked = {name for text in expressions for name in re.findall(r"\bray_\w+", text)}
    assert len(asked) > 12
    assert asked <= all_series()


def test_the_dashboards_panels_do_not_overlap():
    places = [panel["gridPos"] for panel in json.loads(DASHBOARD.read_text())["panels"]]
    cells = [
        (x, y)
        for place in places
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(set(cells)) == len(cells)
    assert max(x for x, _ in cells) < 24


def span(name, start_s, duration_s, *, role="driver", number=0, **details):
    return Span(role=role, number=number, name=name, start_s=start_s, duration_s=duration_s, details=details)


def test_a_trace_gives_back_its_spans_and_names_every_member_once(tmp_path):
    file = TraceFile(tmp_path / "trace.json")
    spans = [
        span("learn", 1764195121.25, 0.5),
        span("generate", 1764195121.0, 0.25, role="generator", number=3),
    ]
    file.write(spans)
    file.write([span("score", 1764195122.0, 0.125, role="scorer", label="batch 7")])
    file.close()
    events = json.loads((tmp_path / "trace.json").read_text())
    assert [event["args"]["name"] for event in events if event["name"] == "thread_name"] == [
        "driver 0",
        "generator 3",
        "scorer 0",
    ]
    seen = read_spans(tmp_path / "trace.json")
    assert [(one.role, one.number, one.name) for one in seen[:2]] == [
        ("driver", 0, "learn"),
        ("generator", 3, "generate"),
    ]
    assert seen[0].start_s == pytest.approx(spans[0].start_s, abs=1e-6)
    assert seen[0].duration_s == pytest.approx(0.5, abs=1e-6)
    assert seen[2].details == {"label": "batch 7"}


def test_a_trace_goes_on_where_a_killed_run_left_it(tmp_path):
    killed = TraceFile(tmp_path / "trace.json")
    killed.write([span("learn", 1.0, 0.5)])
    with (tmp_path / "trace.json").open("a") as stream:
        stream.write(',\n{"ph": "X", "na')
    resumed = TraceFile(tmp_path / "trace.json")
    resumed.write([span("learn", 2.0, 0.5)])
    resumed.close()
    assert [one.start_s for one in read_spans(tmp_path / "trace.json")] == [1.0, 2.0]
    names = [event["name"] for event in json.loads((tmp_path / "trace.json").read_text())]
    assert names.count("thread_name") == 1


def test_a_damaged_line_of_a_trace_is_named(tmp_path):
    (tmp_path / "trace.json").write_text('[\n{"ph": "M", "pi\n{"ph": "X"}\n]\n')
    with pytest.raises(ValueError, match="line 2 is no trace event"):
        read_events(tmp_path / "trace.json")
