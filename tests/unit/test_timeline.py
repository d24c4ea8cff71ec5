"""The model of a run's schedule against closed forms and bounds."""

from math import ceil

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eva_rl.planning.timeline import least_makespan_s, simulate
from eva_rl.planning.workload import StageTimes, Workload


def work(**values):
    defaults = {"num_steps": 6, "groups_per_step": 8, "groups_per_call": 1, "num_generators": 1}
    return Workload(**(defaults | {"num_scorers": 8} | values))


@pytest.mark.parametrize("num_generators", [1, 2, 3, 8, 20])
def test_a_synchronous_run_is_its_stages_one_after_the_other(num_generators):
    times = StageTimes(generate_s=3.0, score_s=1.0, learn_s=5.0)
    found = simulate(work(num_generators=num_generators), times)
    assert found.makespan_s == pytest.approx(6 * (ceil(8 / num_generators) * 3.0 + 1.0 + 5.0))


def test_every_generator_pays_for_every_new_adapter_but_the_first():
    times = StageTimes(generate_s=3.0, score_s=0.0, learn_s=5.0, sync_s=0.5)
    found = simulate(work(num_generators=8), times)
    assert found.makespan_s == pytest.approx(6 * 8.0 + 5 * 0.5)
    assert found.busy_s["generators"] == pytest.approx(6 * 8 * 3.0 + 5 * 8 * 0.5)


def test_one_scorer_is_a_bottleneck_that_more_generators_do_not_move():
    times = StageTimes(generate_s=1.0, score_s=10.0, learn_s=1.0)
    found = simulate(work(num_generators=8, num_scorers=1), times)
    assert found.makespan_s == pytest.approx(6 * (1.0 + 8 * 10.0 + 1.0))
    assert found.bottleneck == "scorers"


def test_a_batch_ahead_hides_the_shorter_of_two_balanced_stages():
    times = StageTimes(generate_s=4.0, score_s=0.0, learn_s=4.0)
    synchronous = simulate(work(num_generators=8, num_steps=40), times)
    ahead = simulate(work(num_generators=8, num_steps=40, rollouts_ahead=1), times)
    assert synchronous.makespan_s == pytest.approx(40 * 8.0)
    assert ahead.makespan_s == pytest.approx(41 * 4.0)
    assert ahead.step_s == pytest.approx(4.0)


def test_a_batch_ahead_does_not_wait_for_a_generator_that_is_free():
    times = StageTimes(generate_s=6.0, score_s=0.0, learn_s=1.0)
    found = simulate(work(groups_per_step=1, num_generators=2, num_steps=10, rollouts_ahead=1), times)
    # two batches in flight at any time, each generated in 6 s and followed as soon as it is learned from
    assert found.step_ends_s == pytest.approx((7, 8, 14, 15, 21, 22, 28, 29, 35, 36))


def test_the_last_chunk_of_a_batch_costs_what_is_in_it():
    times = StageTimes(generate_s=4.0, score_s=0.0, learn_s=0.0)
    found = simulate(work(groups_per_step=5, groups_per_call=4, num_steps=1), times)
    assert found.makespan_s == pytest.approx(5.0)


def test_the_same_seed_draws_the_same_run_and_spread_costs_time():
    times = StageTimes(generate_s=4.0, score_s=1.0, learn_s=2.0, spread=0.3)
    load = work(num_generators=8, num_steps=50)
    even = simulate(load, StageTimes(generate_s=4.0, score_s=1.0, learn_s=2.0))
    assert simulate(load, times, seed=1) == simulate(load, times, seed=1)
    assert simulate(load, times, seed=1).makespan_s > 1.1 * even.makespan_s  # the slowest of eight


def test_impossible_numbers_are_refused_by_name():
    with pytest.raises(ValueError, match="num_generators"):
        work(num_generators=0)
    with pytest.raises(ValueError, match="learn_s"):
        StageTimes(generate_s=1.0, score_s=1.0, learn_s=float("nan"))


durations = st.floats(0.01, 20.0)
workloads = st.builds(
    Workload,
    num_steps=st.integers(1, 8),
    groups_per_step=st.integers(1, 12),
    groups_per_call=st.integers(1, 4),
    num_generators=st.integers(1, 6),
    num_scorers=st.integers(1, 4),
    rollouts_ahead=st.integers(0, 3),
)
stage_times = st.builds(StageTimes, generate_s=durations, score_s=durations, learn_s=durations)


@settings(deadline=None)
@given(workloads, stage_times)
def test_no_schedule_beats_the_lower_bound_and_all_work_is_done(load, times):
    found = simulate(load, times)
    assert found.makespan_s >= least_makespan_s(load, times) * (1 - 1e-9)
    assert found.busy_s["learner"] == pytest.approx(load.num_steps * times.learn_s)
    assert found.busy_s["scorers"] == pytest.approx(load.num_steps * sum(load.chunk_shares) * times.score_s)
    assert all(share <= 1 + 1e-9 for share in found.utilisation.values())


@settings(deadline=None)
@given(workloads, stage_times)
def test_a_generator_more_never_slows_a_run_whose_chunks_are_equal(load, times):
    """List schedules may have anomalies where chunks differ or a hand-over costs; equal chunks have none."""
    from dataclasses import replace

    equal = replace(load, groups_per_step=load.num_chunks * load.groups_per_call)
    more = replace(equal, num_generators=equal.num_generators + 1)
    assert simulate(more, times).makespan_s <= simulate(equal, times).makespan_s * (1 + 1e-9)
