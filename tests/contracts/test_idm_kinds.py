"""What every inverse dynamics model of IDM_KINDS must do."""

import json

import pytest
import torch

from eva_rl.idm.architecture import IdmArchitecture
from eva_rl.idm.kinds import IDM_KINDS, AnyIdm, open_idm, read_generated, read_recorded
from eva_rl.idm.latent_architecture import LatentIdmArchitecture
from eva_rl.idm.masked_architecture import MaskedIdmArchitecture
from eva_rl.idm.resnet_plus import ResNetPlusModel
from eva_rl.idm.resnet_plus_architecture import ResNetPlusArchitecture

HEIGHT, WIDTH, GRIPPER = 16, 24, 2
FRAMES_PER_LATENT = 2
COMMON = {"num_dimensions": 3, "gripper_dimensions": (GRIPPER,), "frame_period_s": 0.12}
SMALL = {"channels": (8, 8, 8), "num_keypoints": 4, "frame_features": 16, "window_features": 16}
FRAMES = {"height": HEIGHT, "width": WIDTH}
TINY = {
    IdmArchitecture: IdmArchitecture(**COMMON, **SMALL, **FRAMES),
    MaskedIdmArchitecture: MaskedIdmArchitecture(**COMMON, **SMALL, **FRAMES, mask_channels=8),
    LatentIdmArchitecture: LatentIdmArchitecture(
        **COMMON,
        **SMALL,
        codec="abc",
        latent_channels=5,
        latent_height=2,
        latent_width=3,
        frames_per_latent=FRAMES_PER_LATENT,
    ),
    ResNetPlusArchitecture: ResNetPlusArchitecture(**COMMON, input_size=64, width=4),
}


@pytest.fixture(params=list(IDM_KINDS))
def model(request) -> AnyIdm:
    kind = IDM_KINDS[request.param]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return kind.model(TINY[kind.architecture]).eval()


@pytest.fixture
def clips(model) -> torch.Tensor:
    """What the model reads: two clips of seven frames, or their latents."""
    shapes = {"frames": (2, 7, 3, HEIGHT, WIDTH), "latents": (2, 5, 4, 2, 3)}
    generator = torch.Generator().manual_seed(0)
    return torch.rand(shapes[model.reads], generator=generator) * 2 - 1


@torch.no_grad()
def test_a_reloaded_model_of_any_kind_reads_the_same_bits(model, clips, tmp_path):
    model.set_normalization(mean=torch.tensor([1.0, 2.0, 0.5]), std=torch.tensor([3.0, 0.5, 1.0]))
    model.save(tmp_path)
    reloaded = open_idm(tmp_path)
    assert type(reloaded) is type(model)
    assert reloaded.architecture == model.architecture
    assert not reloaded.training
    assert torch.equal(reloaded.decode_positions(clips), model.decode_positions(clips))


@torch.no_grad()
def test_reading_twice_gives_the_same_positions(model, clips):
    assert torch.equal(model.decode_positions(clips), model.decode_positions(clips))


def test_an_action_learns_from_its_window_only(model, clips):
    clips.requires_grad_()
    model(clips)[:, 3].sum().backward()
    assert clips.grad is not None
    if model.reads == "frames":
        touched = clips.grad.abs().amax(dim=(0, 2, 3, 4)) > 0
        assert touched.tolist() == [False, False, True, True, True, False, False]
    else:  # frames 0 | 1, 2 | 3, 4 | 5, 6
        touched = clips.grad.abs().amax(dim=(0, 1, 3, 4)) > 0
        assert touched.tolist() == [False, True, True, False]


def test_a_few_steps_on_its_own_loss_fit_two_clips(model, clips):
    actions = torch.rand(2, 7, 3, generator=torch.Generator().manual_seed(1))
    actions[..., GRIPPER] = actions[..., GRIPPER].round()
    model.set_normalization(mean=actions.mean((0, 1)), std=actions.std((0, 1)))
    optimizer = torch.optim.Adam(model.train().parameters(), lr=3e-3)
    losses = []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)  # dropout
        for _ in range(20):
            losses.append(model.loss(clips, actions, acceleration_weight=0.1))
            optimizer.zero_grad()
            losses[-1].backward()
            optimizer.step()
    assert losses[-1] < 0.9 * losses[0]


@torch.no_grad()
def test_decoded_positions_are_one_per_frame_with_grippers_in_range(model, clips):
    model.set_normalization(mean=torch.full((3,), 0.5), std=torch.full((3,), 50.0))
    positions = model.decode_positions(clips)
    assert positions.shape == (2, 7, 3)
    assert positions[..., GRIPPER].ge(0).all()
    assert positions[..., GRIPPER].le(1).all()


def test_a_video_of_another_period_is_refused(model):
    model.architecture.check_frame_period(0.12)
    with pytest.raises(ValueError, match="frame period mismatch"):
        model.architecture.check_frame_period(0.2)


def test_an_unknown_kind_is_refused_with_the_known_ones(model, tmp_path):
    model.save(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "kind": "oracle"}))
    with pytest.raises(ValueError, match=r"kind must be one of conv, .*got 'oracle'"):
        open_idm(tmp_path)


def test_a_class_refuses_the_directory_of_another_kind(model, tmp_path):
    model.save(tmp_path)
    for row in IDM_KINDS.values():
        if row.model is not type(model):
            with pytest.raises(ValueError, match="open it with `open_idm`"):
                row.model.from_directory(tmp_path)


@torch.no_grad()
def test_only_a_model_that_reads_frames_has_latents_decoded_and_recorded_clips_stay_as_they_are(model, clips):
    def convert(given: torch.Tensor) -> torch.Tensor:
        converted.append(given)
        return clips

    converted: list[torch.Tensor] = []
    other = torch.zeros(1, 7)
    expected = model.decode_positions(clips)
    if model.reads == "frames":
        assert torch.equal(read_recorded(model, clips, encode=convert), expected)
        assert not converted
        assert torch.equal(read_generated(model, other, decode=convert), expected)
    else:
        assert torch.equal(read_generated(model, clips, decode=convert), expected)
        assert not converted
        assert torch.equal(read_recorded(model, other, encode=convert), expected)
    assert converted == [other]


def test_soft_positions_are_the_executable_ones_but_for_the_grippers(model, clips):
    # openings that are regressed come to lie within 0..1, outside of which they are cut off
    model.set_normalization(mean=torch.tensor([1.0, 2.0, 0.5]), std=torch.tensor([3.0, 0.5, 0.1]))
    clips.requires_grad_(True)
    soft, decided = model.soft_positions(clips), model.decode_positions(clips)
    joints = [dimension for dimension in range(soft.shape[-1]) if dimension != GRIPPER]
    assert torch.equal(soft[..., joints], decided[..., joints])
    grippers = soft[..., GRIPPER]
    assert ((grippers >= 0) & (grippers <= 1)).all()
    (pull,) = torch.autograd.grad(grippers.sum(), clips)
    assert pull.abs().max() > 0


@torch.no_grad()
def test_a_gripper_that_is_probably_open_is_read_as_open(model, clips):
    if isinstance(model, ResNetPlusModel):
        pytest.skip("regresses openings, and decides by hysteresis over time")
    decided = model.decode_positions(clips)[..., GRIPPER]
    assert torch.equal(decided, (model.soft_positions(clips)[..., GRIPPER] > 0.5).to(decided))
