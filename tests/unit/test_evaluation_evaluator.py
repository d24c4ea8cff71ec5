"""The evaluator executes what a policy imagines: same inputs, same outcomes."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from eva_rl.config.align import AlignSettings
from eva_rl.embodiments import EMBODIMENTS
from eva_rl.evaluation.evaluator import Evaluator
from eva_rl.evaluation.held_out import held_out_scenes
from eva_rl.evaluation.pixels import to_frames, to_pixels
from eva_rl.idm import IdmArchitecture, InverseDynamicsModel
from eva_rl.rewards.reward import REWARD_PRESETS, KinematicReward
from eva_rl.rewards.terms import TRAINING_TERMS
from eva_rl.world_model import WorldModel
from eva_rl.world_model.adapter_io import read_adapter
from eva_rl.world_model.codec_fit import fit_linear_patch_codec
from eva_rl.world_model.creation import create_tiny_wan_directory
from eva_rl.world_model.lora import attach_adapter
from eva_rl.world_model.part_hashes import hash_codec
from tests.tiny import save_tiny_latent_idm

SIZE, NUM_FRAMES = 16, 21
SETTINGS = AlignSettings.model_validate(
    {
        "video": {"height": SIZE, "width": SIZE, "num_frames": NUM_FRAMES},
        "adapter": {"rank": 2, "alpha": 4},
        "evaluation": {"num_conditions": 10, "conditions_per_call": 3},
    }
)
SCENES = held_out_scenes(SETTINGS.robot.tasks, SETTINGS.evaluation)
REWARD = KinematicReward.of(EMBODIMENTS["bimanual"], REWARD_PRESETS["eva-paper"], frame_rate_hz=5.0)


@pytest.fixture(scope="module")
def directories(tmp_path_factory):
    """World model and inverse dynamics model with random weights."""
    root = tmp_path_factory.mktemp("models")
    frames = np.random.default_rng(0).integers(0, 256, (12, NUM_FRAMES, SIZE, SIZE, 3), np.uint8)
    create_tiny_wan_directory(
        root / "world_model",
        codec=fit_linear_patch_codec(torch.from_numpy(frames), channels=8, seed=0),
        instructions=["let the left arm ring the bell that is red"],
        seed=0,
        dim=32,
        num_layers=1,
        num_heads=2,
        ffn_dim=32,
        text_dim=16,
        max_text_tokens=32,
    )
    torch.manual_seed(0)
    architecture = IdmArchitecture(
        height=SIZE,
        width=SIZE,
        num_dimensions=14,
        gripper_dimensions=(6, 13),
        frame_period_s=0.2,
        channels=(8, 8, 8),
        num_keypoints=4,
        frame_features=16,
        window_features=16,
    )
    InverseDynamicsModel(architecture).save(root / "idm")
    return root


@pytest.fixture(scope="module")
def new_evaluator(directories):
    def make(settings: AlignSettings = SETTINGS) -> Evaluator:
        return Evaluator(
            settings, directories / "world_model", idm_directory=directories / "idm", reward=REWARD
        )

    return make


@pytest.fixture(scope="module")
def evaluator(new_evaluator):
    return new_evaluator()


@pytest.fixture(scope="module")
def base_outcomes(evaluator):
    return evaluator.evaluate_scenes(SCENES[:2], "world_model")


@pytest.fixture(scope="module")
def adapters(directories):
    """An untouched adapter, which changes nothing, and one that does."""
    transformer = WorldModel.from_directory(directories / "world_model").pipeline.transformer
    sizes = SETTINGS.adapter
    attach_adapter(
        transformer, rank=sizes.rank, alpha=sizes.alpha, target_modules=sizes.target_modules, seed=0
    )
    untouched = read_adapter(transformer, 0)
    with torch.no_grad():
        for name, weight in transformer.named_parameters():
            if ".lora_B." in name:
                weight.fill_(0.5)
    return untouched, read_adapter(transformer, 1)


def test_the_expert_succeeds_on_every_task_without_any_violation(evaluator):
    outcomes = evaluator.evaluate_scenes(SCENES, "expert")
    assert [outcome.task for outcome in outcomes] == list(SETTINGS.robot.tasks)
    for outcome in outcomes:
        assert outcome.monitored_success
        assert sum(outcome.violations.values()) == 0
        assert outcome.arm_rmse_rad == 0
        assert outcome.path_length_rad == outcome.expert_path_length_rad > 1


@pytest.mark.parametrize("rung", ["idm_on_real_video", "codec_round_trip"])
def test_rungs_that_read_video_execute_what_is_read(evaluator, rung):
    (outcome,) = evaluator.evaluate_scenes(SCENES[:1], rung)
    assert outcome.rung == rung
    assert outcome.arm_rmse_rad > 0.1  # untrained networks read nonsense
    assert np.isfinite(outcome.reward)
    assert outcome.penalty == pytest.approx(sum(outcome.terms.values()), rel=1e-5)


def test_a_reader_of_latents_climbs_the_same_ladder(directories, new_evaluator):
    save_tiny_latent_idm(directories / "latent_idm", codec=hash_codec(directories / "world_model"))
    evaluator = Evaluator(
        SETTINGS, directories / "world_model", idm_directory=directories / "latent_idm", reward=REWARD
    )
    for rung in ("idm_on_real_video", "codec_round_trip", "world_model"):
        (outcome,) = evaluator.evaluate_scenes(SCENES[:1], rung)
        assert np.isfinite(outcome.reward)
        assert outcome.arm_rmse_rad > 0.1  # untrained networks read nonsense


def test_terms_that_need_the_scene_are_judged_in_it_and_those_of_training_alone_are_left_out(directories):
    weights = {"task_progress": 1.0, "collision_margin": 1.0} | dict.fromkeys(TRAINING_TERMS, 1.0)
    reward = replace(REWARD, form=replace(REWARD.form, weights=weights))
    evaluator = Evaluator(
        SETTINGS, directories / "world_model", idm_directory=directories / "idm", reward=reward
    )
    (expert,) = evaluator.evaluate_scenes(SCENES[:1], "expert")
    (nonsense,) = evaluator.evaluate_scenes(SCENES[:1], "idm_on_real_video")
    assert expert.terms == {"task_progress": 0.0, "collision_margin": 0.0}
    assert nonsense.terms["task_progress"] > 0


def test_another_evaluator_finds_the_same_outcomes(new_evaluator, base_outcomes):
    assert new_evaluator().evaluate_scenes(SCENES[:2], "world_model") == base_outcomes


def test_the_noise_of_a_condition_does_not_depend_on_its_neighbours(evaluator, base_outcomes):
    (alone,) = evaluator.evaluate_scenes(SCENES[1:2], "world_model")
    assert alone.arm_rmse_rad == pytest.approx(base_outcomes[1].arm_rmse_rad, rel=1e-4)


def test_another_run_seed_gives_other_noise(new_evaluator, base_outcomes):
    seeded = SETTINGS.model_copy(update={"run": SETTINGS.run.model_copy(update={"seed": 1})})
    (other,) = new_evaluator(seeded).evaluate_scenes(SCENES[:1], "world_model")
    assert other.arm_rmse_rad != pytest.approx(base_outcomes[0].arm_rmse_rad, rel=1e-6)


def test_an_untouched_adapter_is_the_base_policy(new_evaluator, base_outcomes, adapters):
    untouched, _ = adapters
    assert new_evaluator().evaluate_scenes(SCENES[:2], "world_model", adapter=untouched) == base_outcomes


def test_the_base_policy_comes_back_after_an_adapter(new_evaluator, base_outcomes, adapters):
    _, trained = adapters
    evaluator = new_evaluator()
    (aligned,) = evaluator.evaluate_scenes(SCENES[:1], "world_model", adapter=trained)
    assert aligned.arm_rmse_rad != base_outcomes[0].arm_rmse_rad
    assert evaluator.evaluate_scenes(SCENES[:2], "world_model") == base_outcomes


def test_clips_show_the_scenes_that_were_asked_for(evaluator, base_outcomes):
    clips = evaluator.clips_for_report(SCENES[:2])
    for clip, outcome in zip(clips, base_outcomes, strict=True):
        assert clip.condition_id == outcome.condition_id
        assert (clip.success, clip.monitored_success) == (outcome.success, outcome.monitored_success)
        assert clip.real_frames.shape == clip.generated_frames.shape == (NUM_FRAMES, SIZE, SIZE, 3)
        assert clip.generated_frames.dtype == np.uint8
        assert clip.real_positions.shape == clip.generated_positions.shape == (NUM_FRAMES, 14)


def test_an_unknown_rung_is_refused_with_the_nearest(evaluator):
    with pytest.raises(ValueError, match="nearest is 'world_model'"):
        evaluator.evaluate_scenes(SCENES, "worldmodel")


def test_a_video_at_another_frame_rate_is_refused(new_evaluator):
    faster = SETTINGS.model_copy(
        update={"video": SETTINGS.video.model_copy(update={"frame_rate_hz": 10.0, "num_frames": 41})}
    )
    with pytest.raises(ValueError, match="frame period mismatch"):
        new_evaluator(faster).evaluate_scenes(SCENES[:1], "idm_on_real_video")


def test_pixels_survive_the_way_to_the_network_and_back():
    pixels = np.random.default_rng(0).integers(0, 256, (1, 2, 4, 4, 3), np.uint8)
    assert np.array_equal(to_pixels(to_frames(pixels)).numpy(), pixels)
