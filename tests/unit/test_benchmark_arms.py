"""Every arm that a comparison names can be run, and an arm changes what it says and nothing else."""

from importlib import import_module
from pathlib import Path

import pytest
import yaml

from benchmarks.arms import WARMUP_STEPS
from eva_rl.config.comparison import ComparisonRunSettings

CONFIGS = Path(__file__).resolve().parents[2] / "benchmarks" / "configs"
COMPARISONS = {
    "embedded_alignment": "embedded_alignment.yaml",
    "reward_ablation": "ablation.yaml",
    "throughput": "throughput.yaml",
}
ARMS = [
    pytest.param(comparison, name, id=f"{comparison}: {name}")
    for comparison in COMPARISONS
    for name in import_module(f"benchmarks.{comparison}").arms_table()
]


@pytest.fixture(scope="module")
def settings_of():
    """Settings of a comparison, as its command reads them."""
    return {
        name: ComparisonRunSettings.model_validate(yaml.safe_load((CONFIGS / file).read_text()))
        for name, file in COMPARISONS.items()
    }


@pytest.mark.parametrize(("comparison", "name"), ARMS)
def test_every_arm_can_be_run(settings_of, comparison, name):
    arm = import_module(f"benchmarks.{comparison}").arms_table()[name]
    settings = arm.settings(settings_of[comparison], seed=7)
    assert settings.run.seed == 7
    assert settings.reward.judge is None
    assert (settings.learner.decay, settings.learner.warmup_steps) == ("constant", WARMUP_STEPS)
    for section, values in arm.overrides.items():
        found = getattr(settings, section).model_dump()
        assert {key: found[key] for key in values} == dict(values)


@pytest.mark.parametrize(("comparison", "name"), ARMS)
def test_all_arms_share_what_they_are_compared_by(settings_of, comparison, name):
    arms = import_module(f"benchmarks.{comparison}").arms_table()
    first = next(iter(arms.values())).settings(settings_of[comparison], seed=0)
    settings = arms[name].settings(settings_of[comparison], seed=0)
    for section in ("data", "video", "robot", "world_model", "idm", "evaluation"):
        assert getattr(settings, section) == getattr(first, section)
    assert settings.sampling.num_steps == first.sampling.num_steps
