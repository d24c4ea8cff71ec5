"""Imagined held-out clips, read back."""

from itertools import pairwise

import pytest
import torch

from eva_rl.idm.kinds import open_idm
from eva_rl.pretraining.imagined_accuracy import NOISE_SEED, ImaginedAccuracy
from eva_rl.records.condition import ConditionTensors
from eva_rl.world_model.part_hashes import hash_codec
from eva_rl.world_model.world_model import WorldModel
from tests.tiny import save_tiny_latent_idm

NUM_STEPS = 3


@pytest.fixture
def world_model(tiny_models):
    return WorldModel.from_directory(tiny_models.world_model)


@torch.no_grad()
def imagined(world_model, latents, condition):
    """The flow's Euler steps from the same noise, written down once more."""
    noise = torch.randn(latents.shape, generator=torch.Generator().manual_seed(NOISE_SEED))
    clip = world_model.impose_given(noise, condition)
    for sigma, next_sigma in pairwise(world_model.sigmas(NUM_STEPS)):
        clip = clip + (next_sigma - sigma) * world_model.flow_velocity(clip, sigma, condition)
    return clip


@pytest.mark.parametrize("kind", ["frames", "latents"])
def test_recorded_motion_that_is_the_imagined_one_is_all_right_and_moved_beyond_tolerance_all_wrong(
    world_model, tiny_models, tmp_path, kind
):
    directory = tiny_models.idm
    if kind == "latents":
        directory = save_tiny_latent_idm(tmp_path, codec=hash_codec(tiny_models.world_model))
    idm = open_idm(directory)
    latents = torch.randn(3, 8, 2, 2, 2, generator=torch.Generator().manual_seed(0))
    condition = ConditionTensors(given_latents=latents[:, :, :1], text=torch.zeros(3, 4, 16))
    clip = imagined(world_model, latents, condition)
    with torch.no_grad():
        actions = idm.decode_positions(clip if kind == "latents" else world_model.decode(clip))
    accuracy = ImaginedAccuracy(world_model, idm, num_steps=NUM_STEPS)
    for error, expected in ((0.0, 1.0), (0.06, 0.0)):
        batch = {"latents": latents, "actions": actions + error}
        scores = accuracy([batch], [condition], network=world_model.transformer)
        assert scores["validation/frame_accuracy"] == expected
        assert scores["validation/joint_rmse_rad"] == pytest.approx(error, abs=1e-4)
