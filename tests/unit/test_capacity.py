"""Laws of the arithmetic that decides whether roles can ever be placed."""

from math import inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eva_rl.actors.capacity import NodeKind, RoleDemand, amounts, impossibilities, missing
from eva_rl.config.node_labels import LabelCondition, labels_fit

GPU_NODE = NodeKind(resources={"CPU": 8.0, "GPU": 1.0}, labels={"market": "spot"}, count=2)


def demand(count, strategy="PACK", labels=None, **bundle):
    return RoleDemand(role="generators", count=count, bundle=bundle, labels=labels or {}, strategy=strategy)


def test_what_fits_is_possible():
    assert impossibilities([demand(4, CPU=2.0, GPU=0.5)], [GPU_NODE]) == []


def test_a_bundle_larger_than_the_largest_machine_is_refused_with_both_numbers():
    (sentence, *_) = impossibilities([demand(1, CPU=1.0, GPU=4.0)], [GPU_NODE])
    assert "GPU 4" in sentence
    assert "the largest has CPU 8, GPU 1" in sentence


def test_a_sum_larger_than_the_cluster_is_refused_with_its_terms():
    roles = [demand(3, CPU=4.0), RoleDemand(role="learner", count=1, bundle={"CPU": 6.0})]
    (sentence,) = impossibilities(roles, [GPU_NODE])
    assert sentence == "generators 3 x CPU 4 + learner 1 x CPU 6 = CPU 18 wanted, CPU 16 at most"


def test_an_unlimited_kind_of_machine_has_room_for_any_number():
    unlimited = NodeKind(resources={"CPU": 2.0}, count=inf)
    assert impossibilities([demand(10_000, CPU=2.0)], [unlimited, GPU_NODE]) == []


def test_strict_pack_needs_one_machine_for_all():
    assert impossibilities([demand(4, "STRICT_PACK", CPU=2.0)], [GPU_NODE]) == []
    (sentence,) = impossibilities([demand(5, "STRICT_PACK", CPU=2.0)], [GPU_NODE])
    assert "together they need CPU 10 on one machine; the largest has CPU 8" in sentence


def test_strict_spread_needs_as_many_machines_as_members():
    assert impossibilities([demand(2, "STRICT_SPREAD", CPU=1.0)], [GPU_NODE]) == []
    (sentence,) = impossibilities([demand(3, "STRICT_SPREAD", CPU=1.0)], [GPU_NODE])
    assert "3 machines are needed, one each, and 2 can hold one" in sentence


def test_a_machine_without_the_label_is_none():
    assert impossibilities([demand(1, labels={"market": "spot"}, CPU=1.0)], [GPU_NODE]) == []
    (sentence,) = impossibilities([demand(1, labels={"market": "!spot"}, CPU=1.0)], [GPU_NODE])
    assert "none has these labels" in sentence


def test_a_machine_whose_labels_are_unknown_may_have_any():
    kind = NodeKind(resources={"CPU": 1.0}, labels=None)
    assert impossibilities([demand(1, labels={"market": "spot"}, CPU=1.0)], [kind]) == []


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 3), st.integers(1, 4)), min_size=1, max_size=4),
    st.lists(st.integers(1, 4), min_size=1, max_size=4),
)
def test_whatever_can_be_packed_is_never_refused(demands, machines):
    """Packs the demands greedily; where that works, they are certainly possible."""
    left = sorted(machines, reverse=True)
    roles = [demand(count, CPU=float(size)) for count, size in demands]
    for size in sorted((size for count, size in demands for _ in range(count)), reverse=True):
        place = next((index for index, room in enumerate(left) if room >= size), None)
        if place is None:
            return
        left[place] -= size
    assert impossibilities(roles, [NodeKind(resources={"CPU": float(cpus)}) for cpus in machines]) == []


def test_missing_is_what_is_wanted_beyond_what_is_free():
    assert missing([demand(4, CPU=0.5, GPU=1.0)], {"CPU": 3.0, "GPU": 1.0}) == {"GPU": 3.0}


def test_memory_is_shown_in_megabytes():
    assert amounts({"CPU": 0.5, "memory": 3.0 * 2**30}) == "CPU 0.5, memory 3072 MB"


@pytest.mark.parametrize(
    ("condition", "value", "holds"),
    [
        ("H100", "H100", True),
        ("H100", None, False),
        ("!spot", "spot", False),
        ("!spot", None, True),
        ("in(a, b)", "b", True),
        ("in(a,b)", "c", False),
        ("!in(a, b)", "a", False),
        ("!in(a, b)", "c", True),
    ],
)
def test_labels_are_read_in_rays_notation(condition, value, holds):
    assert LabelCondition.parse(condition).holds_for(value) is holds
    assert labels_fit({"name": condition}, {} if value is None else {"name": value}) is holds


@pytest.mark.parametrize("text", ["", "-spot", "in()", "in(a,", "!!spot", "a b"])
def test_a_condition_that_ray_would_not_read_says_what_is_allowed(text):
    with pytest.raises(ValueError, match="must be a value"):
        LabelCondition.parse(text)
