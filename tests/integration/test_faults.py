"""Every role is killed or hung for real; the run goes on, and what it trains does not change by a bit."""

import os
import random
import signal
import time

import pytest

from benchmarks.sabotage import hanging_a, in_actor, kill_a_rank, killing_a, process_of, spoil_a_loss
from eva_rl.actors.recovery import RoleLostError
from eva_rl.actors.roles import GENERATOR, SCORER
from eva_rl.driver import batches
from eva_rl.driver.batch import PolicyMismatchError, send_adapter
from eva_rl.driver.failure_budget import FailureBudgetError
from eva_rl.driver.notices import StopNoticeError
from eva_rl.metrics.jsonl import read_rows
from tests.sabotage import sabotaged
from tests.tiny import tiny_settings
from tests.tiny_run import running_roles, train

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def clean_version(local_ray, tiny_models, tiny_conditions, tmp_path_factory):
    settings, directory = tiny_settings(), tmp_path_factory.mktemp("clean")
    with running_roles(settings, tiny_models) as roles:
        train(settings, roles, tiny_conditions, directory)
        return roles.learner.deployed().version


@pytest.mark.parametrize("role", [GENERATOR, SCORER])
def test_a_killed_member_costs_nothing_but_time(role, clean_version, tiny_models, tiny_conditions, tmp_path):
    version, rows, told = sabotaged(
        tiny_settings(), tiny_models, tiny_conditions, tmp_path, deed=killing_a(role)
    )
    assert version == clean_version
    assert rows[-1]["faults/replaced_members"] == 1
    assert rows[-1]["faults/repeated_orders"] == 1
    assert any(line.startswith(f"{role} 0 was lost with") for line in told)


def test_a_hung_scorer_is_replaced_at_its_deadline(clean_version, tiny_models, tiny_conditions, tmp_path):
    settings = tiny_settings(faults__scoring_deadline_s=3)
    version, rows, told = sabotaged(settings, tiny_models, tiny_conditions, tmp_path, deed=hanging_a(SCORER))
    assert version == clean_version
    assert rows[-1]["faults/hung_members"] == 1
    assert any("within 3 s; another is started" in line for line in told)


@pytest.mark.parametrize("num_ranks", [1, 2])
def test_a_killed_learner_rank_goes_on_from_the_newest_checkpoint(
    num_ranks, clean_version, tiny_models, tiny_conditions, tmp_path
):
    settings = tiny_settings(learner__num_ranks=num_ranks, schedule__rollouts_ahead=0)
    version, rows, _ = sabotaged(
        settings, tiny_models, tiny_conditions, tmp_path / "cut", deed=kill_a_rank, at_step=2
    )
    assert [row["training_step"] for row in rows] == [0, 1, 2]
    if num_ranks == 1:
        assert version == clean_version
    else:
        with running_roles(settings, tiny_models) as roles:
            train(settings, roles, tiny_conditions, tmp_path / "whole")
            assert version == roles.learner.deployed().version


def test_when_every_generator_dies_the_run_ends_with_its_name(
    local_ray, tiny_models, tiny_conditions, tmp_path
):
    killed = set()

    def kill_all(roles):
        for member in roles.dispatcher.pools[GENERATOR].members:
            if member.is_ready and member not in killed:
                killed.add(member)
                os.kill(process_of(member.actor), signal.SIGKILL)

    settings = tiny_settings(faults__max_replacements=1)
    started = time.monotonic()
    with pytest.raises(RoleLostError, match=r"faults\.max_replacements allows 1"):
        sabotaged(settings, tiny_models, tiny_conditions, tmp_path, deed=kill_all, at_step=0)
    assert time.monotonic() - started < 120


@pytest.mark.parametrize(("num_ranks", "zero_stage"), [(1, 0), (2, 0), (2, 2), (1, 3)])
def test_a_step_without_a_finite_gradient_changes_nothing_and_is_counted(
    num_ranks, zero_stage, local_ray, tiny_models, tiny_conditions, tmp_path
):
    settings = tiny_settings(
        learner__num_ranks=num_ranks, learner__zero_stage=zero_stage, schedule__num_training_steps=4
    )
    _, rows, _ = sabotaged(settings, tiny_models, tiny_conditions, tmp_path, deed=spoil_a_loss)
    assert sorted(row["learner/skipped"] for row in rows) == [0, 0, 0, 1]
    assert rows[-1]["learner/loss"] is not None
    assert rows[-1]["learner/max_ratio_deviation"] < 1e-5


def test_too_many_skipped_steps_end_the_run(local_ray, tiny_models, tiny_conditions, tmp_path):
    settings = tiny_settings(faults__max_skipped_steps=0)
    with pytest.raises(FailureBudgetError, match=r"faults\.max_skipped_steps allows 0"):
        sabotaged(settings, tiny_models, tiny_conditions, tmp_path, deed=spoil_a_loss)


def test_a_notice_saves_the_run_and_the_same_command_goes_on(
    clean_version, tiny_models, tiny_conditions, tmp_path
):
    def notify(roles):
        os.kill(os.getpid(), signal.SIGTERM)
        return True

    settings, handler = tiny_settings(schedule__checkpoint_every_steps=100), signal.getsignal(signal.SIGTERM)
    with pytest.raises(StopNoticeError, match=r"--run\.resume auto goes on from it"):
        sabotaged(settings, tiny_models, tiny_conditions, tmp_path, deed=notify, at_step=2)
    assert signal.getsignal(signal.SIGTERM) is handler
    with running_roles(settings, tiny_models) as roles:
        train(settings, roles, tiny_conditions, tmp_path, resume=True)
        assert roles.learner.deployed().version == clean_version
    assert [row["training_step"] for row in read_rows(tmp_path / "metrics.jsonl")] == [0, 1, 2]


def test_what_is_trained_does_not_depend_on_who_is_slow(local_ray, tiny_models, tiny_conditions, tmp_path):
    def run(directory, *, seed):
        settings = tiny_settings(
            schedule__rollouts_ahead=1, generators__count=2, scorers__count=2, schedule__num_training_steps=4
        )
        chance = random.Random(seed)

        def delay(roles):
            members = [member for pool in roles.dispatcher.pools.values() for member in pool.members]
            for member in members:
                if seed and chance.random() < 0.5:
                    pause = chance.uniform(0.0, 0.3)
                    in_actor(member.actor, lambda role, pause=pause: time.sleep(pause))

        with running_roles(settings, tiny_models) as roles:
            roles.dispatcher.on_tick.append(lambda: delay(roles))
            train(settings, roles, tiny_conditions, directory)
            return roles.learner.deployed().version

    versions = {run(tmp_path / str(seed), seed=seed) for seed in range(3)}
    assert len(versions) == 1


def withheld(newest, sent):
    return sent[0] if sent else newest


def corrupted(newest, sent):
    values = newest.values.copy()
    values[0] += 1.0
    return type(newest)(version=newest.version, values=values)


def half_applied(newest, sent):
    values, half = newest.values.copy(), newest.values.size // 2
    values[half:] = sent[0].values[half:] if sent else 0.0
    return type(newest)(version=newest.version, values=values)


def misnamed(newest, sent):
    return type(newest)(version=newest.version, values=(sent or [newest])[0].values)


@pytest.mark.parametrize("fault", [withheld, corrupted, half_applied, misnamed])
def test_an_adapter_that_is_altered_on_its_way_is_caught_in_the_next_batch(
    fault, local_ray, tiny_models, tiny_conditions, tmp_path, monkeypatch
):
    sent = []

    def send(newest):
        if not sent:
            sent.append(newest)
            return send_adapter(newest)
        altered = send_adapter(fault(newest, sent))
        return type(altered)(version=newest.version, reference=altered.reference)

    monkeypatch.setattr(batches, "send_adapter", send)
    settings = tiny_settings()
    with (
        running_roles(settings, tiny_models) as roles,
        pytest.raises((PolicyMismatchError, RuntimeError), match=r"batch 1|after writing"),
    ):
        train(settings, roles, tiny_conditions, tmp_path)
    assert [row["training_step"] for row in read_rows(tmp_path / "metrics.jsonl")] == [0]
