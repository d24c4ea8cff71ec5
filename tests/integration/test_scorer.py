"""The scorer on real models: what it needs to know travels with the rollouts."""

from dataclasses import replace

import pytest
import torch

from eva_rl.actors.generator import Generator
from eva_rl.actors.scorer import Scorer
from tests.integration.conftest import tiny_settings


@pytest.fixture(scope="module")
def group(tiny_models, tiny_conditions):
    encoded = tiny_conditions[0]
    encoded = replace(encoded, condition=replace(encoded.condition, demonstrated_path_rad=1e6))
    return Generator(tiny_settings(), tiny_models.world_model).generate_group(encoded, 0)


def scorer_with(models, weights):
    settings = tiny_settings(reward__term_weights=weights)
    return Scorer(settings, models.world_model, models.idm)


def test_the_motion_floor_sees_the_demonstrations_path(tiny_models, group):
    (scored,) = scorer_with(tiny_models, "{motion_floor: 3.0}").score(group)
    torch.testing.assert_close(
        scored.breakdown.terms["motion_floor"], torch.full((4,), 3.0), atol=1e-3, rtol=0
    )


def test_terms_add_up_to_the_penalty_and_the_adapter_is_echoed(tiny_models, group):
    (scored,) = scorer_with(tiny_models, "{start_pose: 1.0, path_ratio: 0.5}").score(group)
    torch.testing.assert_close(sum(scored.breakdown.terms.values()), scored.breakdown.penalties)
    assert scored.adapter == group.adapter


def test_a_rollout_that_cannot_be_judged_abstains_and_leaves_its_siblings_alone(tiny_models, group):
    scorer = scorer_with(tiny_models, "{}")
    (whole,) = scorer.score(group)
    broken = group.final_latents.clone()
    broken[1] = torch.nan
    (scored,) = scorer.score(replace(group, final_latents=broken))
    assert scored.breakdown.judged.tolist() == [True, False, True, True]
    siblings = [0, 2, 3]
    torch.testing.assert_close(scored.breakdown.rewards[siblings], whole.breakdown.rewards[siblings])
