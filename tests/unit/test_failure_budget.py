"""A few unjudged rollouts leave their groups; too many end the run with the reasons counted."""

import pytest
import torch

from eva_rl.actors.verdict import abstention, reasons_of
from eva_rl.config.reward import RewardSettings
from eva_rl.driver.failure_budget import FailureBudgetError, check_failure_budget
from eva_rl.driver.scores import BatchScores
from eva_rl.embodiments import EMBODIMENTS
from eva_rl.records.adapter import AdapterVersion
from eva_rl.records.reward import ScoredGroup
from eva_rl.rewards.reward import REWARD_PRESETS, KinematicReward

REWARD = KinematicReward.of(EMBODIMENTS["bimanual"], REWARD_PRESETS["eva-paper"], frame_rate_hz=5.0)
SHAPES = "the codec wants other shapes"


def scored(breakdown, reasons):
    return ScoredGroup(
        condition_id="click_bell/episode0",
        adapter=AdapterVersion(training_step=0, content_hash="0" * 16),
        breakdown=breakdown,
        path_lengths=breakdown.rewards,
        generation_s=0.0,
        scoring_s=0.0,
        reasons=reasons,
    )


def read_group(num_broken):
    positions = torch.zeros(4, 17, 14)
    positions[:num_broken, 3] = torch.nan
    breakdown = REWARD(positions)
    return scored(breakdown, reasons_of(positions, breakdown))


def refused_group():
    verdict = abstention(4, reason=SHAPES, terms=REWARD.form.weights, cells_shape=(5, 2))
    return scored(verdict.breakdown, verdict.reasons)


def batch(*groups):
    return BatchScores(
        rewards=torch.stack([group.breakdown.rewards for group in groups]),
        judged=torch.stack([group.breakdown.judged for group in groups]),
        groups=groups,
    )


def test_up_to_the_budget_nothing_happens():
    check_failure_budget(batch(read_group(1), read_group(1)), RewardSettings(max_abstained_share=0.25))
    check_failure_budget(batch(read_group(0)), RewardSettings(max_abstained_share=0))


def test_beyond_the_budget_the_reasons_are_counted():
    scores = batch(read_group(1), refused_group())
    with pytest.raises(FailureBudgetError) as caught:
        check_failure_budget(scores, RewardSettings(max_abstained_share=0.5))
    message = str(caught.value)
    assert "could not judge 5 of 8 rollouts; reward.max_abstained_share allows 0.5" in message
    assert message.index(f"4 x {SHAPES}") < message.index("1 x its decoded positions are not finite")


def test_a_group_that_is_refused_as_a_whole_holds_no_number_that_could_pass_for_a_reward():
    breakdown = refused_group().breakdown
    assert not breakdown.judged.any()
    assert list(breakdown.terms) == list(REWARD.form.weights)
    for values in (breakdown.rewards, breakdown.penalties, breakdown.cells, *breakdown.terms.values()):
        assert values.isnan().all()


def test_a_penalty_that_is_not_finite_is_not_judged_either():
    positions = torch.zeros(2, 17, 14)
    positions[1, 5, 3] = 3e38  # finite, but its jerk is not
    breakdown = REWARD(positions)
    assert breakdown.judged.tolist() == [True, False]
    assert reasons_of(positions, breakdown) == ("", "its penalty is not finite")
