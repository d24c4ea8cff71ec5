"""What the settings say about machines, and what they refuse before Ray starts."""

import pytest

from eva_rl.config.align import AlignSettings
from eva_rl.config.command_line import settings_from_command_line
from eva_rl.config.loading import load_settings
from eva_rl.config.rules import ALIGN_RULES
from eva_rl.config.section import ConfigError
from eva_rl.driver.settings_change import changed_settings, settings_as_data
from tests.unit.test_config import DEFAULT


def load(*overrides):
    return load_settings(AlignSettings, file=None, overrides=overrides, rules=lambda: ALIGN_RULES)


def problem_of(*overrides):
    with pytest.raises(ConfigError) as caught:
        load(*overrides)
    (problem,) = caught.value.problems
    return problem


def test_a_bundle_holds_everything_under_rays_names():
    words = [
        "num_cpus=2",
        "num_gpus=0.5",
        "memory_mb=1",
        "custom_resources={disk: 3}",
        "accelerator_type=H100",
    ]
    bundle = load(*(f"--scorers.{word}" for word in words)).scorers.bundle
    assert bundle == {"CPU": 2, "GPU": 0.5, "memory": 2**20, "disk": 3, "accelerator_type:H100": 0.001}


def test_a_role_starts_with_all_its_members_unless_told_otherwise():
    assert load("--generators.count", "3").generators.num_at_start == 3
    grows = load("--generators.min_count", "1", "--generators.count", "3").generators
    assert (grows.num_at_start, grows.num_at_most) == (1, 3)


def test_counts_that_are_not_ordered_are_refused():
    problem = problem_of("--scorers.min_count", "2", "--scorers.count", "1")
    assert problem == "scorers.min_count <= scorers.count <= scorers.max_count must hold, got 2, 1, 1"


def test_colocated_roles_ask_for_one_gpu_at_most():
    words = ["--cluster.placement", "colocated", "--learner.num_gpus", "0.5", "--generators.count", "2"]
    assert load(*words, "--generators.num_gpus", "0.2").cluster.placement == "colocated"
    assert "0.5 + 0.6 + 0 = 1.1 of it" in problem_of(*words, "--generators.num_gpus", "0.3")


def test_colocated_roles_neither_grow_nor_choose_another_machine():
    words = ["--cluster.placement", "colocated"]
    assert "leave out min_count and max_count" in problem_of(*words, "--generators.min_count", "1")
    assert "leave out labels" in problem_of(*words, "--scorers.labels", "{market: spot}")


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("generators.num_gpus", "1.5"),
        ("generators.custom_resources", "{GPU: 1}"),
        ("generators.custom_resources", "{disk: 0}"),
        ("generators.labels", "{market: '!!spot'}"),
        ("learner.strategy", "TIGHT"),
    ],
)
def test_impossible_resources_are_refused_by_name(setting, value):
    assert problem_of(f"--{setting}", value).startswith(f"{setting}: ")


def test_local_means_a_ray_of_its_own_even_where_a_cluster_is_named(monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    for words, address in (([], "10.0.0.1:6379"), (["--local"], None)):
        settings = settings_from_command_line(
            AlignSettings, words, program="recipe", purpose="Test.", default_config=DEFAULT
        )
        assert settings.cluster.joined_address == address


def test_a_resumed_run_may_move_to_other_machines():
    then = load("--generators.count", "2")
    now = load(
        "--generators.min_count", "1", "--scorers.labels", "{market: spot}", "--learner.strategy", "SPREAD"
    )
    assert changed_settings(settings_as_data(then), settings_as_data(now)) == []
