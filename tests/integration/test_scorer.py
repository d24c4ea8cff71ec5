"""The scorer on real models: what it needs to know travels with the rollouts."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

from eva_rl.actors.direct_rule import DirectRule
from eva_rl.actors.evidence import EvidenceUnavailableError
from eva_rl.actors.generator import Generator
from eva_rl.actors.policy import open_policy
from eva_rl.actors.scorer import Scorer
from eva_rl.idm.kinds import open_idm
from eva_rl.rewards.evidence import MissingEvidenceError
from eva_rl.rewards.motion import JointMotion
from eva_rl.world_model.lora import adapter_parameters
from eva_rl.world_model.part_hashes import hash_codec
from tests.tiny import save_tiny_latent_idm, tiny_settings


@pytest.fixture(scope="module")
def group(tiny_models, tiny_conditions):
    encoded = tiny_conditions[0]
    far = np.linspace(0, 1e5, encoded.condition.num_frames, dtype=np.float32)[:, None].repeat(14, axis=1)
    encoded = replace(encoded, condition=replace(encoded.condition, demonstrated_actions=far))
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
    condition = replace(group.condition.condition, demonstrated_actions=None)
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


@pytest.fixture(scope="module")
def latent_idm(tiny_models, tmp_path_factory):
    directory = tmp_path_factory.mktemp("latent_idm")
    return save_tiny_latent_idm(directory, codec=hash_codec(tiny_models.world_model))


def latent_scorer(models, idm, **settings):
    return Scorer(tiny_settings(**settings), models.world_model, idm)


def test_a_reader_of_latents_scores_without_a_codec_and_says_which_alarms_are_silent(
    tiny_models, group, tmp_path, caplog
):
    without_codec = shutil.copytree(tiny_models.world_model, tmp_path / "world_model")
    (without_codec / "vae" / "diffusion_pytorch_model.safetensors").unlink()
    idm = save_tiny_latent_idm(tmp_path / "idm", codec=hash_codec(without_codec))
    settings = {"reward__rerendered_per_group": 0, "algorithm__credit": "frames_and_arms"}
    scorer = Scorer(tiny_settings(**settings), str(without_codec), idm)
    assert "alarms frozen_video, vanished_arm and link_length_drift are silent" in caplog.text
    (scored,) = scorer.score(in_a_scene(group))
    positions = open_idm(idm).decode_positions(group.final_latents)
    motion = JointMotion.from_positions(positions, 5.0)
    is_gripper = torch.isin(torch.arange(14), torch.tensor((6, 13)))
    torch.testing.assert_close(scored.path_lengths, motion.path_lengths(is_gripper))
    assert set(scored.observations) == {"group_spread", "relative_path"}
    assert scorer.arm_sites(group).shape == (2, 2)


def test_terms_and_alarms_that_need_frames_decode_them_for_a_reader_of_latents(
    tiny_models, latent_idm, group
):
    settings = {"reward__rerendered_per_group": 1, "reward__term_weights": "{cycle_consistency: 10.0}"}
    scorer = latent_scorer(tiny_models, latent_idm, **settings)
    (scored,) = scorer.score(in_a_scene(group))
    assert (scored.breakdown.terms["cycle_consistency"] > 0).all()
    assert scored.observations["frame_change"].isfinite().all()


def test_latents_of_another_codec_are_refused_before_any_is_scored(tiny_models, latent_idm, tmp_path):
    shutil.copytree(tiny_models.world_model, tmp_path / "other")
    (tmp_path / "other" / "vae" / "note.txt").write_text("another codec")
    with pytest.raises(ValueError, match="codec mismatch: the inverse dynamics model reads latents of"):
        Scorer(tiny_settings(), str(tmp_path / "other"), latent_idm)
    with pytest.raises(ValueError, match="codec mismatch"):
        Scorer(tiny_settings(reward__judge=latent_idm), str(tmp_path / "other"), tiny_models.idm)


def test_the_rewards_gradient_passes_a_reader_of_latents_alone(tiny_models, tiny_conditions, latent_idm):
    settings = tiny_settings(
        algorithm__loss="direct",
        algorithm__kl_form="velocity",
        sampling__shares_prefix="false",
        sampling__antithetic="false",
    )
    world_model = open_policy(settings, tiny_models.world_model)
    rule = DirectRule(settings, world_model, latent_idm)
    rolled = Generator(settings, tiny_models.world_model).generate_group(tiny_conditions[0], 0)
    world_model.codec.vae = None  # whoever decodes now fails
    (loss,) = rule.losses([rolled], torch.zeros(1, 4), pass_index=0, network=world_model.transformer)
    loss.loss.backward()
    gradients = [weight.grad for _, weight in adapter_parameters(world_model.transformer)]
    assert any(gradient is not None and gradient.abs().sum() > 0 for gradient in gradients)
