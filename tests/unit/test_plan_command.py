"""Laws of `eva-rl plan`: the recipe's sentences, known answers, a table that stays true."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from eva_rl.cli.main import main
from eva_rl.config.align import AlignSettings
from eva_rl.config.loading import load_settings
from eva_rl.config.rules import ALIGN_RULES
from eva_rl.config.section import ConfigError
from eva_rl.driver.preflight import PREFLIGHT_RULES
from eva_rl.metrics.jsonl import JsonlSink
from eva_rl.planning.forecast import Prices, forecast
from eva_rl.planning.known_names import REWARD_PRESETS as KNOWN_REWARD_PRESETS
from eva_rl.planning.memory_page import published_table
from eva_rl.planning.profile import Profile, ProfileError, read_profile
from eva_rl.rewards.reward import REWARD_PRESETS
from tests.tiny import tiny_settings

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / "recipes" / "configs" / "embedded.yaml"
PROFILE = Profile(generate_s=2.0, score_s=0.5, learn_s=1.5, sync_s=0.0, source="known figures")


def plan(*words):
    with pytest.raises(SystemExit) as end:
        main(["plan", *map(str, words)])
    return end.value.code


def test_a_plan_is_printed_and_written_with_known_answers(tmp_path, capsys):
    PROFILE.save(tmp_path / "profile.json")
    options = [
        "--profile",
        tmp_path / "profile.json",
        "--json",
        tmp_path / "plan.json",
        "--price-cpu-hour",
        3600,
    ]
    counts = ["--generators.count", 2, "--generators.groups_per_call", 4, "--algorithm.groups_per_step", 8]
    rest = ["--schedule.num_training_steps", 10, "--learner.groups_per_micro_batch", 1]
    assert plan(*options, CONFIG, *counts, *rest) == 0
    written = json.loads((tmp_path / "plan.json").read_text())
    # two chunks on two generators, scored one after the other by one scorer, then learned from
    step_s = 4 * 2.0 + 2 * 4 * 0.5 + 8 * 1.5
    assert written["forecast"]["timeline"]["makespan_s"] == pytest.approx(10 * step_s)
    assert written["forecast"]["price"] == pytest.approx(
        10 * step_s
    )  # four members at a quarter of a CPU each
    assert written["forecast"]["bottleneck"] == "learner"
    assert {row["role"]: row["count"] for row in written["seats"]} == {
        "generators": 2,
        "scorers": 1,
        "learner": 1,
    }
    assert "bottleneck: learner" in capsys.readouterr().out


@pytest.mark.parametrize(
    "words",
    [
        ("--lerner.count", "4"),
        ("--video.num_frames", "22"),
        ("--sampling.kernel", "flow_sd", "--video.num_frames", "22"),
        ("--world_model.directory", "/nowhere"),
        ("--reward.preset", "eva-papr"),
    ],
)
def test_bad_settings_give_the_recipes_sentences(words, capsys):
    with pytest.raises(ConfigError) as refusal:
        rules = (*ALIGN_RULES, *PREFLIGHT_RULES)
        load_settings(AlignSettings, file=CONFIG, overrides=words, rules=lambda: rules)
    assert plan(CONFIG, *words) == 2
    told = capsys.readouterr().err
    assert all(f"  - {problem}\n" in told for problem in refusal.value.problems)


def test_a_profile_of_an_earlier_run_is_per_group(tmp_path):
    settings = tiny_settings(algorithm__groups_per_step=4, learner__num_ranks=2)
    sink = JsonlSink(tmp_path / "metrics.jsonl")
    for step, factor in enumerate((9.0, 1.0, 1.0)):  # the first step warms everything up
        row = {"generate": 8.0, "score": 4.0, "learn": 6.0, "sync": 0.5}
        sink.write(step, {f"time/{name}_s": factor * value for name, value in row.items()})
    sink.close()
    (tmp_path / "settings.yaml").write_text("algorithm: {groups_per_step: 4}\nlearner: {num_ranks: 2}\n")
    found = read_profile(tmp_path)
    assert (found.generate_s, found.score_s, found.learn_s, found.sync_s) == (2.0, 1.0, 3.0, 0.5)
    assert found.stage_times(settings).learn_s == pytest.approx(6.0)


def test_a_profile_that_cannot_be_used_is_refused_by_name(tmp_path):
    file = tmp_path / "profile.json"
    with pytest.raises(ProfileError, match="does not exist"):
        read_profile(file)
    for content in (
        '{"generate_s": 1}',
        "[]",
        "nonsense",
        '{"generate_s": -1, "score_s": 0, "learn_s": 0, "sync_s": 0}',
    ):
        file.write_text(content)
        with pytest.raises(ProfileError, match=re.escape(str(file))):
            read_profile(file)


def test_the_suggestion_is_never_much_slower_than_the_settings():
    for counts in ({"generators__count": 1}, {"generators__count": 4, "scorers__count": 4}):
        settings = tiny_settings(algorithm__groups_per_step=8, schedule__num_training_steps=24, **counts)
        found = forecast(settings, PROFILE, Prices())
        assert found.suggested_makespan_s <= 1.05 * found.timeline.makespan_s


def test_a_batch_ahead_is_never_slower():
    found = forecast(tiny_settings(algorithm__groups_per_step=8), PROFILE, Prices()).by_rollouts_ahead
    assert found[0] >= found[1] >= found[2]


def test_names_that_are_taken_as_known_are_in_their_table():
    assert set(KNOWN_REWARD_PRESETS) <= set(REWARD_PRESETS)


def test_the_documents_table_is_the_commands(capsys):
    assert plan("published") == 0
    table = capsys.readouterr().out
    assert table == published_table()
    assert f"<!-- table -->\n\n{table}\n<!-- end of table -->" in (ROOT / "docs" / "memory.md").read_text()


def test_a_plan_loads_no_heavy_library_and_takes_less_than_a_second():
    code = (
        "import sys, time; started = time.process_time(); from eva_rl.cli.main import main\n"
        "try: main(['plan', sys.argv[1]])\n"
        "except SystemExit as end: assert end.code == 0\n"
        "assert not {'torch', 'ray', 'diffusers', 'mujoco'} & set(sys.modules)\n"
        "print('CPU-seconds', time.process_time() - started)"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code, str(CONFIG)], capture_output=True, text=True, check=True, timeout=60
    )
    assert float(answer.stdout.split("CPU-seconds ")[1]) < 1.0
