"""Laws of the linear patch codec."""

import pytest
import torch

from eva_rl.world_model.codec import LinearPatchCodec, from_blocks, to_blocks
from eva_rl.world_model.codec_fit import fit_linear_patch_codec

CHANNELS = 8


def rank_limited_clips(num_clips: int, *, rank: int) -> torch.Tensor:
    """uint8 clips [clips, 9, 16, 16, 3] whose blocks all lie in a subspace of the given rank."""
    generator = torch.Generator().manual_seed(0)

    def blocks(num_values: int, num_rows: int) -> torch.Tensor:
        patterns = torch.randint(0, 2, (rank, num_values), generator=generator)
        # every block is one of the patterns, dark or bright, so it stays exact in 8 bits
        chosen = torch.randint(0, rank, (num_rows,), generator=generator)
        brightness = torch.randint(0, 2, (num_rows, 1), generator=generator)
        return patterns[chosen] * (100 + 100 * brightness)

    first = blocks(192, num_clips * 4).reshape(num_clips, 1, 2, 2, 192)
    later = blocks(768, num_clips * 8).reshape(num_clips, 2, 2, 2, 768)
    video = torch.cat(
        [from_blocks(first, num_frames=1, side=8), from_blocks(later, num_frames=4, side=8)], dim=2
    )
    return video.permute(0, 2, 3, 4, 1).to(torch.uint8)


def as_video(frames: torch.Tensor) -> torch.Tensor:
    return frames.permute(0, 4, 1, 2, 3).float() / 127.5 - 1.0


@pytest.fixture(scope="module")
def clips() -> torch.Tensor:
    return rank_limited_clips(60, rank=4)


@pytest.fixture(scope="module")
def codec(clips) -> LinearPatchCodec:
    return fit_linear_patch_codec(clips, channels=CHANNELS, seed=0)


def test_blocks_are_cut_and_joined_without_loss():
    video = torch.randn(2, 3, 8, 16, 24)
    assert torch.equal(from_blocks(to_blocks(video, num_frames=4, side=8), num_frames=4, side=8), video)


def test_video_of_low_rank_survives_the_round_trip(codec, clips):
    video = as_video(clips)
    latents = codec.encode(video).latent_dist.mode()
    assert latents.shape == (60, CHANNELS, 3, 2, 2)
    assert torch.allclose(codec.decode(latents).sample, video, atol=1e-4)


def test_fitted_latents_have_unit_mean_variance():
    frames = torch.randint(0, 256, (300, 9, 16, 16, 3), generator=torch.Generator().manual_seed(1))
    codec = fit_linear_patch_codec(frames.to(torch.uint8), channels=CHANNELS, seed=0)
    latents = codec.encode(as_video(frames)).latent_dist.mode()
    for frame in (slice(0, 1), slice(1, 3)):
        variance = latents[:, :, frame].var(dim=(0, 2, 3, 4)).mean().item()
        assert variance == pytest.approx(1.0, abs=0.02)


def test_a_single_frame_has_the_latents_of_a_clips_first_frame(codec, clips):
    video = as_video(clips)
    alone = codec.encode(video[:, :, :1]).latent_dist.mode()
    within = codec.encode(video).latent_dist.mode()[:, :, :1]
    assert torch.equal(alone, within)


def test_sampling_the_latent_distribution_gives_its_mode(codec, clips):
    distribution = codec.encode(as_video(clips[:2])).latent_dist
    assert torch.equal(distribution.sample(), distribution.mode())


def test_a_reloaded_codec_encodes_to_the_same_bits(codec, clips, tmp_path):
    codec.save_pretrained(tmp_path)
    reloaded = LinearPatchCodec.from_pretrained(tmp_path)
    video = as_video(clips[:2])
    assert torch.equal(reloaded.encode(video).latent_dist.mode(), codec.encode(video).latent_dist.mode())
    assert reloaded.config["latents_std"] == [1.0] * CHANNELS


def test_the_same_seed_fits_the_same_codec(clips):
    fits = [fit_linear_patch_codec(clips, channels=CHANNELS, seed=3).state_dict() for _ in range(2)]
    assert all(torch.equal(fits[0][name], fits[1][name]) for name in fits[0])


@pytest.mark.parametrize("shape", [(4, 16, 16), (5, 12, 16)])
def test_clips_that_do_not_fit_the_blocks_are_refused(codec, shape):
    with pytest.raises(ValueError, match=r"4k\+1 frames"):
        codec.encode(torch.zeros(1, 3, *shape))


def test_fitting_more_channels_than_blocks_is_refused():
    with pytest.raises(ValueError, match="more than 48 blocks, got 4"):
        fit_linear_patch_codec(torch.zeros(1, 5, 16, 16, 3, dtype=torch.uint8), channels=48)
