"""Laws of the settings: every problem at once, nothing silently accepted."""

import re
from pathlib import Path

import pytest
import yaml

from eva_rl.config.align import AlignSettings
from eva_rl.config.command_line import settings_from_command_line
from eva_rl.config.loading import load_settings, setting_names
from eva_rl.config.presets import PRESETS
from eva_rl.config.rules import ALIGN_RULES
from eva_rl.config.section import ConfigError

DEFAULT = Path(__file__).parents[2] / "recipes" / "configs" / "embedded.yaml"


def load(*overrides, file=None):
    return load_settings(AlignSettings, file=file, overrides=overrides, rules=lambda: ALIGN_RULES)


def test_an_override_beats_the_file_and_the_file_beats_the_default(tmp_path):
    file = tmp_path / "settings.yaml"
    file.write_text("learner: {learning_rate: 0.5, num_ranks: 2}\n")
    settings = load("--learner.learning_rate", "1e-4", file=file)
    assert settings.learner.learning_rate == 1e-4
    assert settings.learner.num_ranks == 2
    assert settings.learner.max_grad_norm == 1.0


def test_every_problem_is_reported_at_once():
    with pytest.raises(ConfigError) as caught:
        load("--learner.num_ranks", "0", "--run.seed", "many", "--sampling.kernal", "cps", "stray")
    problems = "\n".join(caught.value.problems)
    assert len(caught.value.problems) == 4
    for expected in ("learner.num_ranks", "run.seed", "the nearest is sampling.kernel", "stray"):
        assert expected in problems


def test_every_broken_rule_is_reported_at_once():
    with pytest.raises(ConfigError) as caught:
        load("--video.num_frames=16", "--learner.num_ranks=3", "--sampling.window_size=9")
    problems = "\n".join(caught.value.problems)
    assert "nearest are 13 and 17" in problems
    assert "nearest are 6 and 9" in problems
    assert "sampling.window_size = 9" in problems


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("--algorithm.backprop_steps=2",), r"algorithm.backprop_steps = 2 act.*got clipped_ratio"),
        (
            ("--algorithm.loss=nft", "--algorithm.soft_gripper_weight=5"),
            r"soft_gripper_weight = 5 act.*got nft",
        ),
        (
            ("--algorithm.loss=direct", "--algorithm.backprop_steps=9", "--sampling.num_steps=4"),
            "at most sampl",
        ),
    ],
)
def test_what_only_the_rewards_gradient_uses_is_not_ignored_in_silence(words, named):
    with pytest.raises(ConfigError) as caught:
        load(*words)
    assert any(re.search(named, problem) for problem in caught.value.problems)


def test_an_override_without_a_value_is_named():
    with pytest.raises(ConfigError, match=r"--learner.num_ranks needs a value"):
        load("--learner.num_ranks", "--run.seed", "3")


def test_a_missing_or_malformed_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"absent\.yaml"):
        load(file=tmp_path / "absent.yaml")
    (tmp_path / "bad.yaml").write_text("learner: [unclosed")
    with pytest.raises(ConfigError, match=r"bad.yaml is not valid YAML"):
        load(file=tmp_path / "bad.yaml")


def test_settings_survive_a_round_trip_through_yaml(tmp_path):
    settings = load("--robot.tasks", "[click_bell]", "--reward.term_weights", "{jerk: 2.0}")
    file = tmp_path / "settings.yaml"
    file.write_text(yaml.safe_dump(settings.model_dump(mode="json")))
    assert load(file=file) == settings


def test_bad_settings_end_the_process_with_exit_code_2(capsys):
    with pytest.raises(SystemExit) as caught:
        settings_from_command_line(
            AlignSettings,
            ["--learner.learning_rat", "1"],
            program="recipe",
            purpose="Test.",
            default_config=DEFAULT,
        )
    assert caught.value.code == 2
    assert "learner.learning_rate" in capsys.readouterr().err


def test_help_explains_every_setting(capsys):
    with pytest.raises(SystemExit) as caught:
        settings_from_command_line(
            AlignSettings, ["--help"], program="recipe", purpose="Test.", default_config=DEFAULT
        )
    assert caught.value.code == 0
    page = capsys.readouterr().out
    for name in setting_names(AlignSettings):
        assert f"--{name} " in page


def test_every_setting_has_a_description():
    for section in AlignSettings.model_fields.values():
        for name, field in section.annotation.model_fields.items():
            assert field.description, name


def test_the_papers_algorithm_replaces_all_of_the_default_one():
    settings = load_settings(
        AlignSettings, file=DEFAULT, overrides=["--algorithm.preset", "paper"], rules=lambda: ALIGN_RULES
    )
    paper = PRESETS["paper"]
    assert settings.sampling == paper.sampling
    assert settings.algorithm == paper.algorithm.model_copy(update={"preset": "paper"})
    assert settings.learner.decay == paper.learner["decay"]
