"""A run's timeline and its stage times, on real Ray with tiny models: they account for the whole run."""

from itertools import pairwise

import pytest

from eva_rl.driver.timeline import STAGES
from eva_rl.metrics.jsonl import read_rows
from eva_rl.metrics.trace import read_spans
from tests.tiny import tiny_settings
from tests.tiny_run import running_roles, train

pytestmark = pytest.mark.integration

NUM_STEPS = 4
CLOCK_S = 1e-5
"""Two readings of one clock, written in tenths of microseconds."""


@pytest.fixture(scope="module")
def directory(local_ray, tiny_models, tiny_conditions, tmp_path_factory):
    settings = tiny_settings(
        schedule__num_training_steps=NUM_STEPS,
        schedule__checkpoint_every_steps=2,
        generators__count=2,
        metrics__tensorboard=False,
    )
    path = tmp_path_factory.mktemp("timeline")
    with running_roles(settings, tiny_models) as roles:
        train(settings, roles, tiny_conditions, path)
    return path


@pytest.fixture
def spans(directory):
    return read_spans(directory / "trace.json")


def steps_of(spans):
    return [span for span in spans if span.name.startswith("training step")]


def is_inside(inner, outer):
    return outer.start_s - CLOCK_S <= inner.start_s and inner.end_s <= outer.end_s + CLOCK_S


def test_the_training_steps_follow_each_other_without_a_gap(spans):
    steps = steps_of(spans)
    assert [step.name for step in steps] == [f"training step {index}" for index in range(NUM_STEPS)]
    whole = steps[-1].end_s - steps[0].start_s
    assert sum(step.duration_s for step in steps) == pytest.approx(whole, rel=0.05)


def test_every_steps_stages_lie_inside_it_and_add_up_to_it(spans):
    for step in steps_of(spans):
        stages = [
            span
            for span in spans
            if span.role == "driver" and span.name in STAGES and span.details == step.details
        ]
        assert [stage.name for stage in stages] == list(STAGES)
        assert all(is_inside(stage, step) for stage in stages)
        assert sum(stage.duration_s for stage in stages) == pytest.approx(step.duration_s, rel=0.05)
        (learner,) = [span for span in spans if span.role == "learner" and span.details == step.details]
        assert is_inside(learner, step)


def test_no_member_does_two_things_at_once_and_rewards_follow_their_rollouts(spans):
    members = {(span.role, span.number) for span in spans if span.role in ("generator", "scorer")}
    assert {role for role, _ in members} == {"generator", "scorer"}
    for member in members:
        work = sorted((s for s in spans if (s.role, s.number) == member), key=lambda span: span.start_s)
        pairs = pairwise(work)
        assert all(first.end_s <= second.start_s + CLOCK_S for first, second in pairs)
    rollouts = {span.details["of"]: span for span in spans if span.name == "rollouts"}
    rewards = {span.details["of"]: span for span in spans if span.name == "rewards"}
    assert len(rollouts) >= NUM_STEPS * 2
    assert set(rewards) == set(rollouts)
    assert all(rewards[chunk].start_s >= rollouts[chunk].end_s - CLOCK_S for chunk in rewards)


def test_the_measured_times_account_for_the_run(directory, spans):
    rows = read_rows(directory / "metrics.jsonl")
    for row in rows:
        parts = row["time/wait_s"] + row["time/learn_s"] + row["time/sync_s"]
        assert parts == pytest.approx(row["time/step_s"], rel=0.05)
    last = steps_of(spans)[-1]
    after_last = last.end_s - last.start_s - rows[-1]["time/step_s"]
    measured = sum(row["time/step_s"] + row["time/record_s"] for row in rows) + after_last
    whole = last.end_s - steps_of(spans)[0].start_s
    assert measured == pytest.approx(whole, rel=0.05)


def test_work_inside_a_member_fits_into_what_the_driver_saw(directory, spans):
    """The actors' own clocks against the driver's: neither is derived from the other."""
    inside = sum(row["time/generate_s"] for row in read_rows(directory / "metrics.jsonl"))
    seen = sum(
        span.duration_s for span in spans if span.name == "rollouts" and "batch" in str(span.details["of"])
    )
    assert 0 < inside <= seen


def test_the_driver_says_what_waits_who_is_ready_and_which_adapter_there_is(directory):
    rows = read_rows(directory / "metrics.jsonl")
    assert [row["adapter/training_step"] for row in rows] == [1, 2, 3, 4]
    assert all(row["members/generator"] == 2 and row["members/scorer"] == 1 for row in rows)
    assert all(row["queue/generator"] >= 0 and row["queue/scorer"] >= 0 for row in rows)
