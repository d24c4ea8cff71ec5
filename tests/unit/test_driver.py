"""Laws of the driver's small parts."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
import yaml

from eva_rl.checkpoints.store import CheckpointStore
from eva_rl.config.align import AlignSettings
from eva_rl.config.loading import load_settings, setting_names
from eva_rl.config.reward import RewardSettings
from eva_rl.config.section import ConfigError
from eva_rl.driver.condition_schedule import ConditionSchedule
from eva_rl.driver.preflight import PREFLIGHT_RULES
from eva_rl.driver.provenance import CONTINUATION, record_start
from eva_rl.driver.run_directory import directory_is_free, open_run_directory
from eva_rl.driver.run_state import RunState
from eva_rl.driver.sentinel_watch import SentinelWatch
from eva_rl.driver.settings_change import MAY_CHANGE
from eva_rl.records.adapter import AdapterVersion, AdapterWeights
from eva_rl.records.calibration import Calibration
from eva_rl.records.condition import Condition, ConditionTensors, EncodedCondition

CALIBRATION = Calibration(penalty_scale=1.0)


def settings_of(*overrides, rules=()):
    return load_settings(AlignSettings, file=None, overrides=overrides, rules=lambda: rules)


def encoded(index):
    condition = Condition(
        condition_id=f"condition{index}",
        task="task",
        scene_seed=index,
        instruction="go",
        first_frame=np.zeros((16, 16, 3), np.uint8),
        start_joints=np.zeros(14, np.float32),
        num_frames=5,
        frame_rate_hz=5.0,
        embodiment="bimanual",
    )
    return EncodedCondition(
        condition=condition,
        tensors=ConditionTensors(given_latents=torch.zeros(1, 1, 2, 2), text=torch.zeros(1, 1)),
    )


def weights_of(training_step):
    version = AdapterVersion(training_step=training_step, content_hash=f"{training_step:016x}")
    return AdapterWeights(version=version, values=np.full(3, training_step, np.float32))


def names(batch):
    return [item.condition.condition_id for item in batch]


def test_an_epoch_visits_every_condition_once():
    schedule = ConditionSchedule([encoded(i) for i in range(6)], groups_per_step=2, seed=0)
    epoch = [name for step in range(3) for name in names(schedule.batch(step))]
    assert sorted(epoch) == [f"condition{i}" for i in range(6)]


def test_epochs_differ_and_a_batch_depends_on_its_index_only():
    conditions = [encoded(i) for i in range(6)]
    schedule = ConditionSchedule(conditions, groups_per_step=6, seed=0)
    again = ConditionSchedule(conditions, groups_per_step=6, seed=0)
    assert names(schedule.batch(0)) != names(schedule.batch(1))
    assert names(again.batch(1)) == names(schedule.batch(1))


def test_a_batch_may_span_two_epochs():
    schedule = ConditionSchedule([encoded(i) for i in range(3)], groups_per_step=2, seed=0)
    three_batches = [name for step in range(3) for name in names(schedule.batch(step))]
    assert sorted(three_batches) == sorted([f"condition{i}" for i in range(3)] * 2)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("instruction", "stop"),
        ("first_frame", np.ones((16, 16, 3), np.uint8)),
        ("start_joints", np.ones(14, np.float32)),
        ("demonstrated_actions", np.zeros((5, 14), np.float32)),
    ],
)
def test_the_fingerprint_tells_conditions_apart_by_all_that_a_step_depends_on(name, value):
    def fingerprint(condition):
        schedule = ConditionSchedule([condition], groups_per_step=1, seed=0)
        return schedule.provenance()["fingerprint"]

    one = encoded(0)
    changed = replace(one, condition=replace(one.condition, **{name: value}))
    assert fingerprint(one) == fingerprint(encoded(0)) != fingerprint(changed)


def test_no_conditions_is_an_error():
    with pytest.raises(ValueError, match="no conditions"):
        ConditionSchedule([], groups_per_step=2, seed=0)


@pytest.mark.parametrize("ahead", [0, 1, 2])
def test_batches_in_flight_are_those_of_the_schedule(tmp_path, ahead):
    state = RunState(
        CheckpointStore(tmp_path, keep=1),
        rollouts_ahead=ahead,
        initial=weights_of(0),
        calibration=CALIBRATION,
        watch=SentinelWatch(RewardSettings()),
    )
    for step in range(1, 5):
        state.advance(weights_of(step))
    in_flight = [
        (index, policy.version.training_step) for index, policy in state.policies_in_flight(ahead, 100)
    ]
    assert in_flight == [(index, max(0, index - ahead)) for index in range(4, 4 + ahead + 1)]


def test_the_last_batches_of_a_run_are_not_exceeded(tmp_path):
    state = RunState(
        CheckpointStore(tmp_path, keep=1),
        rollouts_ahead=2,
        initial=weights_of(0),
        calibration=CALIBRATION,
        watch=SentinelWatch(RewardSettings()),
    )
    assert [index for index, _ in state.policies_in_flight(2, 2)] == [0, 1]


def test_an_occupied_run_directory_is_refused_with_what_to_do(tmp_path):
    (tmp_path / "something").write_text("x")
    with pytest.raises(ConfigError, match=r"not empty; choose another, remove it"):
        settings_of("--run.directory", str(tmp_path), rules=[directory_is_free])


def test_resuming_where_there_is_no_run_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="holds no run"):
        settings_of("--run.directory", str(tmp_path), "--run.resume", "true", rules=[directory_is_free])


def test_a_resumed_run_keeps_its_settings(tmp_path):
    directory = tmp_path / "run"
    open_run_directory(settings_of("--run.directory", str(directory)))
    assert yaml.safe_load((directory / "settings.yaml").read_text())["learner"]["num_ranks"] == 1
    changed = settings_of(
        "--run.directory", str(directory), "--run.resume", "true", "--learner.betas", "[0.9, 0.5]"
    )
    with pytest.raises(
        ConfigError, match=r"learner.betas is \[0.9, 0.5\], but the run in .* has \[0.9, 0.99\]"
    ):
        open_run_directory(changed)


def opened(directory, resume, *words):
    words = ["--run.directory", str(directory), "--run.resume", resume, *words]
    return open_run_directory(settings_of(*words, rules=[directory_is_free]))


def test_one_command_starts_a_run_and_continues_it(tmp_path):
    assert not opened(tmp_path / "run", "auto").continues
    assert opened(tmp_path / "run", "auto").continues  # killed before its first checkpoint
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / ".settings.yaml.unfinished").write_text("killed while")
    (tmp_path / "empty" / "lost+found").mkdir()
    assert not opened(tmp_path / "empty", "auto").continues


def test_auto_refuses_what_it_can_neither_start_nor_continue(tmp_path):
    with pytest.raises(ConfigError, match=r"needs run.directory"):
        settings_of("--run.resume", "auto", rules=[directory_is_free])
    opened(tmp_path / "run", "auto")
    with pytest.raises(ConfigError, match=r"run.seed is 7, but the run in .* has 0"):
        opened(tmp_path / "run", "auto", "--run.seed", "7")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.tex").write_text("x")
    with pytest.raises(ConfigError, match="holds files but no run"):
        opened(tmp_path / "other", "auto")


def test_a_resumed_run_may_move_to_other_machines(tmp_path):
    opened(tmp_path, "auto")
    moved = ["--generators.count", "5", "--cluster.num_cpus", "7", "--schedule.keep_checkpoints", "9"]
    assert opened(tmp_path, "true", *moved).continues


def test_what_may_change_are_settings_that_exist():
    names = setting_names(AlignSettings)
    assert {name.partition(".")[0] for name in names} | set(names) >= set(MAY_CHANGE)


def test_a_continued_run_says_so_and_keeps_its_models(tmp_path):
    facts = dict.fromkeys(CONTINUATION, "same") | {"idm": {"directory": "models/idm", "hash": "aa"}}
    file = tmp_path / "provenance.json"
    record_start(file, facts)
    record_start(file, facts | {"command": "again"})
    known = json.loads(file.read_text())
    assert [known["command"], known["continued"][0]["command"]] == ["same", "again"]
    with pytest.raises(ConfigError, match=r"models/idm holds bb, but the run was started with aa"):
        record_start(file, facts | {"idm": {"directory": "models/idm", "hash": "bb"}})


def test_preflight_reports_every_impossible_name_at_once(tmp_path):
    words = ["--sampling.kernel", "flow_sdee", "--sampling.window", "late", "--algorithm.kl_form", "wam"]
    words += ["--algorithm.step_weight", "unifrom", "--algorithm.awm_weight", "huber"]
    words += ["--robot.tasks", "[click_bel]", "--robot.embodiment", "bimanua", "--reward.preset", "eva"]
    words += ["--world_model.directory", str(tmp_path), "--idm.directory", str(tmp_path)]
    words += ["--data.directory", str(tmp_path / "absent"), "--reward.term_weights", "{jerky: 1.0}"]
    with pytest.raises(ConfigError) as caught:
        settings_of(*words, rules=PREFLIGHT_RULES)
    problems = "\n".join(caught.value.problems)
    assert len(caught.value.problems) == 12
    for nearest in ("'flow_sde'", "'wan'", "'click_bell'", "'bimanual'", "'eva-paper'", "'jerk'"):
        assert f"the nearest is {nearest}" in problems


def test_the_deterministic_kernel_cannot_be_learned_from():
    with pytest.raises(ConfigError, match=r"sampling.kernel must be one of flow_sde, dance, wan, cps"):
        settings_of("--sampling.kernel", "ode", rules=PREFLIGHT_RULES)


def test_checkpoints_that_cannot_go_or_be_ranked_are_refused():
    words = ["--schedule.best_metric", "reward/meen", "--schedule.checkpoint_directory", "ftp://host/x"]
    with pytest.raises(ConfigError, match=r"schedule.best_metric must be a metric .*, got 'reward/meen'"):
        settings_of(*words, rules=PREFLIGHT_RULES)
    with pytest.raises(ConfigError, match=r"schedule.checkpoint_directory ftp://host/x cannot be reached"):
        settings_of(*words[2:], rules=PREFLIGHT_RULES)


def test_a_history_that_no_scene_has_is_refused_before_training(wan_directories):
    words = ["--world_model.directory", str(wan_directories("eva_two_history_frames"))]
    with pytest.raises(
        ConfigError, match=r"given 5 video frames, and a scene of .* = bimanual begins with one"
    ):
        settings_of(*words, rules=PREFLIGHT_RULES)
    settings_of(*words, "--world_model.history_latent_frames", "1", rules=PREFLIGHT_RULES)
