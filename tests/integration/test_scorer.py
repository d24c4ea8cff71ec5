"""The scorer on real models: what it needs to know travels with the rollouts."""

from dataclasses import replace

import pytest
import torch

from eva_rl.actors.evidence import EvidenceUnavailableError
from eva_rl.actors.generator import Generator
from eva_rl.actors.scorer import Scorer
from eva_rl.rewards.evidence import MissingEvidenceError
from tests.tiny import tiny_settings


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


def test_an_abstained_rollout_says_why(tiny_models, group):
    broken = group.final_latents.clone()
    broken[1] = torch.nan
    (scored,) = scorer_with(tiny_models, "{}").score(replace(group, final_latents=broken))
    assert scored.reasons == ("", "its decoded positions are not finite", "", "")


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda latents: latents[:, :3], "latents must have the shape"),
        (lambda latents: latents[:, :, :1], "latents must have the shape"),
        (lambda latents: latents * torch.nan, "no rollout of the group has finite positions"),
    ],
)
def test_a_group_that_cannot_be_read_abstains_as_a_whole(tiny_models, group, spoil, reason):
    scorer = scorer_with(tiny_models, "{}")
    spoiled = replace(group, final_latents=spoil(group.final_latents))
    scored, whole = scorer.score(spoiled, group)
    assert not scored.breakdown.judged.any()
    assert scored.breakdown.rewards.isnan().all()
    assert all(reason in said for said in scored.reasons)
    assert whole.breakdown.judged.all()


def in_a_scene(group, **known):
    condition = replace(group.condition.condition, task="click_bell", scene_seed=3, **known)
    return replace(group, condition=replace(group.condition, condition=condition))


def test_scene_terms_are_judged_in_the_conditions_own_scene(tiny_models, group):
    weights = "{collision_margin: 1.0, cycle_consistency: 10.0, task_progress: 1.0}"
    (scored,) = scorer_with(tiny_models, weights).score(in_a_scene(group))
    terms = scored.breakdown.terms
    assert ((terms["task_progress"] > 0) & (terms["task_progress"] <= 1)).all()
    assert (terms["cycle_consistency"] > 0).all()
    assert (terms["collision_margin"] >= 0).all()
    torch.testing.assert_close(sum(terms.values()), scored.breakdown.penalties)


def test_a_scene_term_without_a_scene_is_a_mistake_in_the_settings(tiny_models, group):
    with pytest.raises(EvidenceUnavailableError, match=r"needs evidence\.progress, .* reward\.term_weights"):
        scorer_with(tiny_models, "{task_progress: 1.0}").score(group)


def test_a_seed_of_another_robots_recording_makes_no_scene(tiny_models, group):
    foreign = in_a_scene(group, embodiment="aloha-agilex")
    with pytest.raises(EvidenceUnavailableError):
        scorer_with(tiny_models, "{task_progress: 1.0}").score(foreign)


def test_a_term_that_lacks_its_evidence_ends_the_run_and_is_no_abstention(tiny_models, group):
    condition = replace(group.condition.condition, demonstrated_path_rad=None)
    unknown = replace(group, condition=replace(group.condition, condition=condition))
    with pytest.raises(MissingEvidenceError, match=r"motion_floor needs evidence\.path_length"):
        scorer_with(tiny_models, "{motion_floor: 1.0}").score(unknown)


def test_what_the_sentinels_watch_comes_with_every_group(tiny_models, group):
    settings = tiny_settings(reward__judge=tiny_models.idm, reward__rerendered_per_group=2)
    scorer = Scorer(settings, tiny_models.world_model, tiny_models.idm)
    (plain,) = scorer.score(group)
    (scored,) = scorer.score(in_a_scene(group))
    names = {"frame_change", "group_spread", "relative_path", "judge_reward", "judge_distance"}
    assert set(plain.observations) == names
    assert set(scored.observations) == names | {"cycle_error", "arm_visibility"}
    assert scored.observations["cycle_error"].isfinite().tolist() == [True, True, False, False]
    torch.testing.assert_close(scored.observations["judge_reward"], scored.breakdown.rewards)
    assert torch.count_nonzero(scored.observations["judge_distance"]) == 0


def test_cells_are_given_when_credit_is_structured_even_by_a_group_that_abstains(tiny_models, group):
    settings = tiny_settings(algorithm__credit="frames_and_arms")
    scorer = Scorer(settings, tiny_models.world_model, tiny_models.idm)
    whole, refused = scorer.score(group, replace(group, final_latents=group.final_latents[:, :3]))
    assert whole.breakdown.cells.shape == refused.breakdown.cells.shape == (4, 2, 2)
    assert scorer_with(tiny_models, "{}").score(group)[0].breakdown.cells is None
