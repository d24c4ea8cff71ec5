"""Laws of the number of generators and scorers that a run wants."""

from dataclasses import replace
from itertools import pairwise
from math import ceil, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eva_rl.driver.scaling_policy import SPARE_SHARE, Patience, RoleLoad, wanted_members

PATIENCE = Patience(grow_after_s=30.0, shrink_after_s=300.0)
LOAD = RoleLoad(
    num_members=2, num_queued=6, work_s=40.0, num_orders=100, fewest=1, most=8, since_change_s=1000.0
)

seconds = st.floats(0, 1000, allow_nan=False)
loads = st.builds(
    lambda fewest, extra, **rest: RoleLoad(fewest=fewest, most=fewest + extra, **rest),
    fewest=st.integers(1, 5),
    extra=st.integers(0, 20),
    num_members=st.integers(0, 40),
    num_queued=st.integers(0, 50),
    work_s=st.none() | seconds,
    num_orders=st.integers(1, 60),
    since_change_s=seconds,
)


def wanted(learn_s=10.0, **changes):
    return wanted_members(replace(LOAD, **changes), learn_s=learn_s, patience=PATIENCE)


def test_members_are_wanted_until_a_batch_is_made_while_the_learner_learns():
    assert wanted(work_s=40.0) == 4
    assert wanted(work_s=41.0) == 5


def test_no_member_is_wanted_without_an_order_to_work_on():
    assert wanted(work_s=80.0, num_orders=3) == 3
    assert wanted(learn_s=0.0, num_orders=5) == 5


def test_nothing_changes_while_nobody_waits_or_too_soon_after_a_change():
    assert wanted(num_queued=0) == 2
    assert wanted(since_change_s=29.0) == 2
    assert wanted(since_change_s=30.0) == 4


def test_one_spare_member_goes_at_a_time_and_only_after_a_long_silence():
    spare = {"num_members": 6, "work_s": 20.0, "num_queued": 0}
    assert wanted(**spare) == 5
    assert wanted(**spare, since_change_s=299.0) == 6
    assert wanted(**spare | {"num_queued": 1}) == 6


@pytest.mark.parametrize("unknown", [{"work_s": None}, {"work_s": nan}, {"learn_s": None}, {"learn_s": nan}])
def test_without_times_the_number_stays(unknown):
    assert wanted(**unknown) == 2


@given(loads, st.none() | seconds)
def test_the_bounds_always_hold(load, learn_s):
    assert load.fewest <= wanted_members(load, learn_s=learn_s, patience=PATIENCE) <= load.most


@given(loads, st.floats(0.1, 1000), st.floats(0, 1000), st.integers(0, 50))
def test_more_work_and_more_waiting_never_want_fewer_members(load, learn_s, more_work_s, more_queued):
    if load.work_s is None:
        return
    heavier = replace(load, work_s=load.work_s + more_work_s, num_queued=load.num_queued + more_queued)
    before = wanted_members(load, learn_s=learn_s, patience=PATIENCE)
    assert wanted_members(heavier, learn_s=learn_s, patience=PATIENCE) >= before


@given(loads, st.floats(0.1, 1000))
def test_under_a_constant_load_the_number_settles_and_then_never_moves(load, learn_s):
    """Plays decision after decision; orders wait exactly while the members cannot keep up."""
    if load.work_s is None:
        return
    need = min(load.work_s / learn_s, load.num_orders)
    numbers = [min(max(load.num_members, load.fewest), load.most)]
    for _ in range(60):
        members = numbers[-1]
        state = replace(load, num_members=members, num_queued=int(members < need), since_change_s=1000.0)
        numbers.append(wanted_members(state, learn_s=learn_s, patience=PATIENCE))
    steps = [after - before for before, after in pairwise(numbers)]
    assert not (any(step > 0 for step in steps) and any(step < 0 for step in steps)), "it swings"
    assert steps[-20:] == [0] * 20
    assert numbers[-1] >= min(ceil(need - 1e-9), load.most)
    assert numbers[-1] <= max(load.fewest, ceil(need * (1 + SPARE_SHARE)), 1)
