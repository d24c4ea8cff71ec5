"""`eva-rl rollout | decode | import | merge`, called as a user calls them."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from eva_rl import pretrained
from eva_rl.cli.main import main
from eva_rl.data.video_encoding import VideoWriter
from eva_rl.data.whole_video import UnreadableVideoError, read_frames
from eva_rl.idm.kinds import open_idm
from eva_rl.world_model.adapter_io import export_adapter
from eva_rl.world_model.latent_codec import LatentCodec
from eva_rl.world_model.lora import adapter_parameters, attach_adapter
from eva_rl.world_model.part_hashes import hash_codec
from eva_rl.world_model.world_model import WorldModel
from tests.tiny import NUM_FRAMES, SIZE, save_tiny_latent_idm
from tests.unit.test_importing import HEAD_DIM, original_state


def call(*words):
    with pytest.raises(SystemExit) as caught:
        main([str(word) for word in words])
    return caught.value.code


@pytest.fixture
def image(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (SIZE, SIZE, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "start.png")
    return tmp_path / "start.png"


def rollout(image, tiny_models, out, *words):
    size = ("--height", SIZE, "--width", SIZE, "--num-frames", NUM_FRAMES, "--frame-rate", 5)
    start = ("--image", image, "--instruction", "press the blue bell", "--out", out)
    return call("rollout", *start, "--world-model", tiny_models.world_model, *size, *words)


def test_a_seed_is_a_clip_and_another_seed_another_one(image, tiny_models, tmp_path, capsys):
    clips = {}
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        assert rollout(image, tiny_models, tmp_path / f"{name}.mp4", "--seed", seed) == 0
        clips[name] = (tmp_path / f"{name}.mp4").read_bytes()
    assert clips["a"] == clips["b"] != clips["c"]
    assert f"{NUM_FRAMES} frames of {SIZE}x{SIZE} at 5 Hz" in capsys.readouterr().out
    frames, rate = read_frames(tmp_path / "a.mp4")
    assert (frames.shape, rate) == ((NUM_FRAMES, SIZE, SIZE, 3), 5.0)


@pytest.fixture
def adapter(tiny_models, tmp_path):
    """Directory of an adapter that does something."""
    world_model = WorldModel.from_directory(tiny_models.world_model)
    attach_adapter(world_model.transformer, rank=2, alpha=4.0, target_modules=("to_q",), seed=0)
    with torch.no_grad():
        for _, weight in adapter_parameters(world_model.transformer):
            weight.add_(0.3)
    export_adapter(world_model.transformer, tmp_path / "adapter")
    return tmp_path / "adapter"


def test_noise_and_an_adapter_change_the_clip(image, tiny_models, adapter, tmp_path, capsys):
    hashes = set()
    for words in ((), ("--noise-level", 0.5), ("--adapter", adapter)):
        assert rollout(image, tiny_models, tmp_path / "clip.mp4", *words) == 0
        hashes.add(capsys.readouterr().out.split()[-1])
    assert len(hashes) == 3


def test_a_merged_directory_imagines_what_the_adapter_does(image, tiny_models, adapter, tmp_path, capsys):
    assert rollout(image, tiny_models, tmp_path / "a.mp4", "--adapter", adapter) == 0
    assert call("merge", tiny_models.world_model, adapter, tmp_path / "merged") == 0
    capsys.readouterr()
    size = ("--height", SIZE, "--width", SIZE, "--num-frames", NUM_FRAMES, "--frame-rate", 5)
    start = ("--image", image, "--instruction", "press the blue bell", "--out", tmp_path / "b.mp4")
    assert call("rollout", *start, "--world-model", tmp_path / "merged", *size) == 0
    with_adapter, merged = (read_frames(tmp_path / f"{name}.mp4")[0].astype(int) for name in "ab")
    assert np.abs(with_adapter - merged).max() <= 1
    assert call("merge", tiny_models.world_model, adapter, tmp_path / "merged") == 2
    assert "name a new directory" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--num-steps", 0), "--num-steps: Input should be greater than or equal to 2, got 0"),
        (("--kernel", "sde"), "--kernel must be one of"),
        (("--num-frames", 6), "must be 4k+1"),
        (("--history-guidance", 1), "history_guidance"),
        (("--adapter", "absent"), "absent holds no adapter"),
    ],
)
def test_impossible_wishes_are_refused_with_a_sentence(words, message, image, tiny_models, tmp_path, capsys):
    assert rollout(image, tiny_models, tmp_path / "clip.mp4", *words) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "clip.mp4").exists()


def test_a_picture_that_is_none_is_named(tiny_models, tmp_path, capsys):
    (tmp_path / "text.png").write_text("no picture")
    assert rollout(tmp_path / "text.png", tiny_models, tmp_path / "clip.mp4") == 2
    assert "text.png is no picture" in capsys.readouterr().err


def test_decoding_a_file_is_decoding_its_frames(tmp_path, capsys):
    frames = np.random.default_rng(0).integers(0, 256, (17, 48, 64, 3), np.uint8)
    np.save(tmp_path / "frames.npy", frames)
    words = ("--idm", pretrained.IDM, "--out", tmp_path / "actions.npy", "--frame-rate", 5)
    assert call("decode", tmp_path / "frames.npy", *words) == 0
    with torch.no_grad():
        pictures = torch.from_numpy(frames).permute(0, 3, 1, 2).float() / 127.5 - 1
        expected = open_idm(pretrained.IDM).decode_positions(pictures[None])[0]
    actions = np.load(tmp_path / "actions.npy")
    assert actions.dtype == np.float32
    np.testing.assert_allclose(actions, expected.numpy(), atol=1e-6)
    facts = json.loads((tmp_path / "actions.json").read_text())
    assert facts["dimensions"][5:8] == ["left_joint6", "left_gripper", "right_joint1"]
    assert facts["frame_rate_hz"] == 5


def test_a_reader_of_latents_needs_the_world_model_that_encodes(tiny_models, tmp_path, capsys):
    idm = save_tiny_latent_idm(tmp_path / "idm", codec=hash_codec(tiny_models.world_model))
    frames = np.random.default_rng(0).integers(0, 256, (9, 16, 16, 3), np.uint8)
    np.save(tmp_path / "frames.npy", frames)
    np.save(tmp_path / "odd.npy", frames[:7])
    words = ("--idm", idm, "--out", tmp_path / "actions.npy", "--frame-rate", 5)
    assert call("decode", tmp_path / "frames.npy", *words) == 2
    assert "reads codec latents, not frames: give --world-model" in capsys.readouterr().err
    assert call("decode", tmp_path / "odd.npy", *words, "--world-model", tiny_models.world_model) == 2
    assert "odd.npy: a clip of 7 frames does not fill" in capsys.readouterr().err
    assert call("decode", tmp_path / "frames.npy", *words, "--world-model", tiny_models.world_model) == 0
    latents = LatentCodec.from_directory(tiny_models.world_model).encode_frames(
        torch.from_numpy(frames)[None]
    )
    with torch.no_grad():
        expected = open_idm(idm).decode_positions(latents)[0]
    np.testing.assert_allclose(np.load(tmp_path / "actions.npy"), expected.numpy(), atol=1e-6)


def test_an_imagined_clip_is_read_from_its_own_latents(image, tiny_models, tmp_path):
    idm = save_tiny_latent_idm(tmp_path / "idm", codec=hash_codec(tiny_models.world_model))
    assert rollout(image, tiny_models, tmp_path / "clip.mp4", "--idm", idm) == 0
    assert np.load(tmp_path / "clip.npy").shape[1] == 14


def test_a_video_brings_its_own_rate(tmp_path, capsys):
    with VideoWriter(tmp_path / "clip.mp4", height=48, width=64, frame_rate_hz=5.0) as video:
        video.write(np.zeros((17, 48, 64, 3), np.uint8))
    assert call("decode", tmp_path / "clip.mp4", "--out", tmp_path / "actions.npy") == 0
    assert call("decode", tmp_path / "clip.mp4", "--out", tmp_path / "b.npy", "--frame-rate", 10) == 2
    assert "clip.mp4: frame period mismatch" in capsys.readouterr().err


@pytest.mark.parametrize(
    "frames",
    [np.zeros((17, 48, 64), np.uint8), np.zeros((17, 48, 64, 3)), np.zeros((0, 48, 64, 3), np.uint8)],
)
def test_other_arrays_are_refused(frames, tmp_path):
    np.save(tmp_path / "frames.npy", frames)
    with pytest.raises(UnreadableVideoError, match=r"frames\.npy must hold uint8"):
        read_frames(tmp_path / "frames.npy")


def test_frames_of_another_size_are_refused(tmp_path, capsys):
    np.save(tmp_path / "frames.npy", np.zeros((17, 32, 32, 3), np.uint8))
    words = ("--out", tmp_path / "actions.npy", "--frame-rate", 5)
    assert call("decode", tmp_path / "frames.npy", *words) == 2
    assert "frame size mismatch" in capsys.readouterr().err


@pytest.mark.parametrize("share", [0.0, 0.3, 0.6, 0.95])
def test_a_cut_video_is_named(share, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (17, 48, 64, 3), np.uint8)
    with VideoWriter(tmp_path / "whole.mp4", height=48, width=64, frame_rate_hz=5.0) as video:
        video.write(pixels)
    content = (tmp_path / "whole.mp4").read_bytes()
    (tmp_path / "cut.mp4").write_bytes(content[: int(share * len(content))])
    with pytest.raises(UnreadableVideoError, match=r"cut\.mp4"):
        read_frames(tmp_path / "cut.mp4")


def test_importing_from_the_command_line(wan_directories, tmp_path, capsys):
    base = wan_directories("wan21_i2v_14b")
    torch.save(original_state(base), tmp_path / "eva.pt")
    words = ("import", "world-model", tmp_path / "eva.pt", tmp_path / "out", "--base", base)
    assert call(*words, "--head-dim", HEAD_DIM, "--conditioning", "history") == 2
    assert "--conditioning must be one of" in capsys.readouterr().err
    assert call(*words, "--head-dim", HEAD_DIM) == 0
    assert "history_forcing" in capsys.readouterr().out
    assert call("import", "idm", tmp_path / "eva.pt", tmp_path / "idm", "--frame-rate", 8.89) == 2
    assert "eva.pt" in capsys.readouterr().err
    assert call("import", "lora", tmp_path / "eva.pt", tmp_path / "lora") == 2
    assert "is no LoRA tensor" in capsys.readouterr().err
