"""Every metric at Ray's metrics port, under the name that the dashboard asks for."""

import re
import time
import urllib.request

import pytest
import ray

from eva_rl.driver.prometheus import PrometheusSink
from eva_rl.metrics.exported_names import HISTOGRAMS, all_series
from eva_rl.metrics.table import METRIC_FAMILIES, METRICS

pytestmark = pytest.mark.integration

SCRAPE_TIMEOUT_S = 60
SAMPLE = re.compile(r"^(?P<name>ray_eva_rl_\w+)\{(?P<labels>[^}]*)\} (?P<value>\S+)$", re.MULTILINE)


def scraped(url, *, run):
    """The run's samples: name and labels to value."""
    with urllib.request.urlopen(url, timeout=10) as answer:
        text = answer.read().decode()
    labelled = [
        (sample, dict(re.findall(r'(\w+)="([^"]*)"', sample["labels"]))) for sample in SAMPLE.finditer(text)
    ]
    return {
        (sample["name"], labels.get("member"), labels.get("le")): float(sample["value"])
        for sample, labels in labelled
        if labels.get("run") == run
    }


def test_every_metric_is_scraped_under_its_name_with_its_value(local_ray):
    row = {metric: float(index) for index, metric in enumerate(METRICS)}
    row |= {f"{prefix}one": 7.25 for prefix in METRIC_FAMILIES}
    sink = PrometheusSink("scraped")
    for step in (0, 1):
        sink.write(step, row | {"rollouts/staleness": float(step), "learner/kl": 0.5})
    sink.write(2, {"rollouts/staleness": 1.0, "learner/kl": float("nan")})

    node = next(node for node in ray.nodes() if node["Alive"])
    assert node["NodeManagerAddress"] == "127.0.0.1"
    url = f"http://127.0.0.1:{node['MetricsExportPort']}/metrics"
    deadline, seen = time.monotonic() + SCRAPE_TIMEOUT_S, {}
    while seen.get(("ray_eva_rl_training_step", None, None)) != 2 and time.monotonic() < deadline:
        time.sleep(1)
        seen = scraped(url, run="scraped")
    assert {name for name, _, _ in seen} == all_series()
    assert seen["ray_eva_rl_training_step", None, None] == 2
    assert seen["ray_eva_rl_time_learn_s", None, None] == row["time/learn_s"]
    assert seen["ray_eva_rl_learner_kl", None, None] == 0.5
    assert seen["ray_eva_rl_reward_term", "one", None] == 7.25

    bounds = HISTOGRAMS["rollouts/staleness"]
    bucket = "ray_eva_rl_rollouts_staleness_distribution_bucket"
    assert [seen[bucket, None, str(bound)] for bound in bounds] == [1, *[3] * (len(bounds) - 1)]
