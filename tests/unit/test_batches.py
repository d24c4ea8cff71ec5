"""Which chunks an unordered training step takes."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eva_rl.config.align import AlignSettings
from eva_rl.config.loading import load_settings
from eva_rl.config.rules import ALIGN_RULES
from eva_rl.config.section import ConfigError
from eva_rl.driver.batches import choose_ready
from eva_rl.records.adapter import AdapterVersion


@dataclass(eq=False)
class InFlight:
    """As much of a chunk as the choice looks at."""

    version: int
    is_scored: bool
    policy: AdapterVersion = field(init=False)

    def __post_init__(self):
        self.policy = AdapterVersion(training_step=self.version, content_hash="0" * 16)


def test_ready_chunks_do_not_wait_for_a_slow_one():
    slow, first, second = InFlight(3, False), InFlight(3, True), InFlight(3, True)
    chosen = choose_ready([slow, first, second], 2, training_step=3, max_staleness=2)
    assert chosen == [first, second]


def test_a_slow_chunk_is_waited_for_before_it_is_too_old():
    slow, first, second = InFlight(1, False), InFlight(3, True), InFlight(3, True)
    assert choose_ready([slow, first, second], 2, training_step=3, max_staleness=2) == []
    slow.is_scored = True
    assert choose_ready([slow, first, second], 2, training_step=3, max_staleness=2) == [slow, first]


@given(
    chunks=st.lists(st.tuples(st.integers(0, 6), st.booleans()), max_size=12),
    wanted=st.integers(1, 4),
    max_staleness=st.integers(0, 3),
)
def test_a_choice_is_complete_and_scored_and_leaves_nothing_older_behind(chunks, wanted, max_staleness):
    in_flight = [InFlight(*chunk) for chunk in chunks]
    chosen = choose_ready(in_flight, wanted, training_step=6, max_staleness=max_staleness)
    assert len(chosen) in (0, wanted)
    assert all(chunk.is_scored for chunk in chosen)
    due = [chunk for chunk in in_flight if 6 - chunk.version >= max_staleness]
    if chosen and len(due) <= wanted:
        assert set(due) <= set(chosen)


def test_a_bound_below_the_depth_is_refused():
    with pytest.raises(ConfigError, match=r"max_staleness must be at least schedule\.rollouts_ahead = 3"):
        load_settings(
            AlignSettings,
            file=None,
            overrides=["--schedule.ordering", "unordered", "--schedule.rollouts_ahead", "3"],
            rules=lambda: ALIGN_RULES,
        )
