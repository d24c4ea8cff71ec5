"""What is special about the models that mask frames, and about those that read codec latents."""

from dataclasses import replace

import pytest
import torch

from eva_rl.idm.kinds import check_codec
from eva_rl.idm.latent import LatentIdm
from eva_rl.idm.latent_architecture import LatentIdmArchitecture
from eva_rl.idm.masked import MaskedIdm
from eva_rl.idm.masked_architecture import MaskedIdmArchitecture

SMALL = {"channels": (8, 8, 8), "num_keypoints": 4, "frame_features": 16, "window_features": 16}
COMMON = {"num_dimensions": 1, "gripper_dimensions": (), "frame_period_s": 0.2, **SMALL}
MASKED = MaskedIdmArchitecture(height=16, width=16, mask_channels=8, **COMMON)
LATENT = LatentIdmArchitecture(
    codec="abc", latent_channels=4, latent_height=2, latent_width=2, frames_per_latent=4, **COMMON
)


@pytest.fixture(autouse=True)
def _seeded():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


def moving_square(generator):
    """Clips in which a bright square says the action, and noise elsewhere says nothing."""
    places = torch.randint(0, 13, (16, 3), generator=generator)
    frames = torch.rand(16, 3, 3, 16, 16, generator=generator) - 0.5
    for clip, row in enumerate(places):
        for frame, column in enumerate(row):
            frames[clip, frame, :, 9:13, column : column + 4] = 1.0
    return frames, (places / 12.0 - 0.5)[..., None]


def test_the_mask_shrinks_to_what_says_the_action():
    model = MaskedIdm(replace(MASKED, mask_penalty=0.3)).train()
    generator = torch.Generator().manual_seed(0)
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    for _ in range(150):
        frames, actions = moving_square(generator)
        optimizer.zero_grad()
        model.loss(frames, actions).backward()
        optimizer.step()
    frames, actions = moving_square(generator)
    with torch.no_grad():
        masks = model.eval().masks(frames)[:, :, 0]
        error = (model(frames) - actions).square().mean().sqrt()
    is_square = frames[:, :, 0] > 0.9
    assert masks[is_square].mean() > 2 * masks[~is_square].mean()
    assert masks.mean() < 0.3
    assert error < 0.5 * actions.std()


def test_the_loss_of_a_masked_model_is_its_readers_and_the_price_of_what_is_shown():
    free, dear = (MaskedIdm(replace(MASKED, mask_penalty=penalty)) for penalty in (0.0, 2.0))
    dear.load_state_dict(free.state_dict())
    frames, actions = torch.zeros(1, 3, 3, 16, 16), torch.ones(1, 3, 1)
    with torch.no_grad():
        price = dear.loss(frames, actions) - free.loss(frames, actions)
        torch.testing.assert_close(price, 2.0 * free.masks(frames).mean())


def test_a_hidden_picture_says_nothing():
    model = MaskedIdm(MASKED).eval()
    with torch.no_grad():
        model.mask.logits.bias.fill_(-100.0)
        model.mask.logits.weight.zero_()
        first, second = (model(torch.full((1, 3, 3, 16, 16), value)) for value in (-1.0, 1.0))
    torch.testing.assert_close(first, second)


@pytest.mark.parametrize("num_latents", [1, 2, 5])
def test_a_first_latent_is_one_frame_and_every_other_is_four(num_latents):
    positions = LatentIdm(LATENT)(torch.zeros(2, 4, num_latents, 2, 2))
    assert positions.shape == (2, 1 + 4 * (num_latents - 1), 1)


def test_latents_of_another_size_are_refused():
    with pytest.raises(ValueError, match=r"reads latents of 4x2x2 .*, got 4x3x2"):
        LatentIdm(LATENT)(torch.zeros(1, 4, 2, 3, 2))


def test_latents_of_another_codec_are_refused_and_frames_have_no_codec():
    with pytest.raises(ValueError, match="reads latents of codec abc, the world model has codec def"):
        check_codec(LatentIdm(LATENT), lambda: "def")
    check_codec(LatentIdm(LATENT), lambda: "abc")
    check_codec(MaskedIdm(MASKED), lambda: pytest.fail("nobody needs it"))


@pytest.mark.parametrize("change", [{"mask_channels": 4}, {"mask_penalty": -1.0}])
def test_impossible_masks_are_refused(change):
    with pytest.raises(ValueError, match=next(iter(change))):
        replace(MASKED, **change)
