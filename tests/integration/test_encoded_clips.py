"""Clips are encoded once, by Ray Data; every clip reaches one worker; a killed worker costs no step."""

import json
import os
import signal

import numpy as np
import psutil
import pytest
import ray
import torch

from eva_rl.config.pretraining import SftSettings
from eva_rl.config.video import VideoSettings
from eva_rl.data.cursor import EPISODE_COLUMN, WINDOW_COLUMN, WindowCursor
from eva_rl.data.encoded_stream import stream_encoded
from eva_rl.data.formats import read_episode
from eva_rl.data.listing import list_episodes
from eva_rl.data.ray_pipeline import stream_windows
from eva_rl.data.shards import read_shard
from eva_rl.pretraining.clip_shares import ClipShares
from eva_rl.pretraining.clips import window_shape
from eva_rl.pretraining.encoding import encode_episodes
from eva_rl.pretraining.encoding_plan import plan_of
from eva_rl.pretraining.loop_options import TRAINING, VALIDATION
from eva_rl.pretraining.world_model_training import needs_episodes, train_world_model
from eva_rl.world_model.codec_fit import fit_linear_patch_codec
from eva_rl.world_model.creation import create_tiny_wan_directory
from eva_rl.world_model.world_model import WorldModel
from tests.unit.synthetic_episodes import make_episode, write_directory

pytestmark = pytest.mark.integration
NUM_EPISODES = 15


@pytest.fixture(scope="module")
def root(local_ray, tmp_path_factory):
    """Episodes of one window each, a small world model, and the episodes encoded by it."""
    root = tmp_path_factory.mktemp("encoded")
    refs = write_directory(root / "demos", num_episodes=NUM_EPISODES, num_frames=21)
    frames = torch.from_numpy(np.stack([make_episode(index=i, num_frames=21).frames for i in range(4)]))
    create_tiny_wan_directory(
        root / "model",
        codec=fit_linear_patch_codec(frames, channels=8, seed=0),
        instructions=[f"ring the red bell number {i}" for i in range(NUM_EPISODES)] + ["press the red bell"],
        seed=0,
        dim=32,
        num_layers=1,
        num_heads=2,
        ffn_dim=32,
        text_dim=16,
    )
    encode_episodes(refs, str(root / "clips"), plan=plan(root), world_model=root / "model")
    return root


def plan(root):
    return plan_of(
        root / "model", shape=window_shape(VideoSettings()), seed=0, held_out_share=0.2, source=None
    )


def reopened(root):
    """No episode is given: what is there is opened."""
    return encode_episodes([], str(root / "clips"), plan=plan(root), world_model=root / "model")


def test_a_second_call_reads_no_episode_and_both_splits_hold_every_clip_once(root):
    clips = reopened(root)
    assert (clips.num_clips(TRAINING), clips.num_clips(VALIDATION)) == (12, 3)
    rows = [read_shard(ref.path) for split in (TRAINING, VALIDATION) for ref in clips.refs(split)]
    ids = [str(name) for row in rows for name in row["window_id"]]
    assert sorted(ids) == sorted(ref.episode_id for ref in list_episodes(root / "demos"))
    provenance = json.loads(rows[0]["provenance"][0])
    assert provenance["byte_ranges"][0]["path"] == provenance["source"]


def test_shards_hold_what_the_world_model_itself_encodes(root):
    row = read_shard(reopened(root).refs(TRAINING)[0].path)
    world_model = WorldModel.from_directory(root / "model", with_text_encoder=True)
    index = int(str(row["window_id"][0]).removeprefix("click_bell/episode"))
    (ref,) = [ref for ref in list_episodes(root / "demos") if ref.episode_id == row["window_id"][0]]
    episode = read_episode(ref)
    assert episode.scene_seed == index == row["scene_seed"][0]
    latents = world_model.encode_frames(torch.from_numpy(episode.frames[None].copy()))
    torch.testing.assert_close(torch.from_numpy(row["latents"][:1].copy()), latents)
    text = world_model.encode_text([str(row["instruction"][0])])
    torch.testing.assert_close(torch.from_numpy(row["text"][:1].copy()), text)


def test_a_stream_of_encoded_clips_goes_on_behind_any_row(root):
    clips = reopened(root)
    start = WindowCursor.at_start(clips.refs(TRAINING), seed=3)
    rows = list(stream_encoded(clips, TRAINING, start=start).iter_rows())
    cursor = start.after({name: rows[6][name] for name in (EPISODE_COLUMN, WINDOW_COLUMN)})
    rest = list(stream_encoded(clips, TRAINING, start=cursor).iter_rows())
    assert len(rows) == 12
    for got, expected in zip(rest, rows[7:], strict=True):
        np.testing.assert_array_equal(got["latents"], expected["latents"])


def test_each_clip_reaches_exactly_one_of_two_workers_though_their_number_is_odd(root):
    refs = list_episodes(root / "demos")  # 15
    stream = stream_windows(refs, shape=window_shape(VideoSettings()))
    shares = ClipShares(deals_evenly=False).configure({TRAINING: stream}, 2, None, None)
    read = ray.remote(num_cpus=0.1)(lambda part: [str(row["window_id"]) for row in part.iter_rows()])
    first, second = ray.get([read.remote(share[TRAINING]) for share in shares])
    assert first
    assert second
    assert sorted(first + second) == sorted(ref.episode_id for ref in refs)


def sft_settings(root, directory, **training):
    return SftSettings.model_validate(
        {
            "data": {"encoded": root / "clips"},
            "training": {
                "directory": directory,
                "num_steps": 400,
                "batch_size": 4,
                "warmup_steps": 2,
                "validation_share": 0.2,
                "validate_every_steps": 20,
                "checkpoint_every_steps": 40,
                **training,
            },
            "world_model": {"start_from": root / "model", "compiles": False, "lora_rank": 2},
        }
    )


def test_a_worker_killed_in_mid_training_is_replaced_and_goes_on_from_its_checkpoint(root, tmp_path):
    settings = sft_settings(root, tmp_path / "model", storage_path=(tmp_path / "kept").as_uri())
    job_directory, killed, reported = tmp_path / "job", [], []

    def kill_once(num_steps, note):
        reported.append(num_steps)
        if sum(reported) >= 100 and not killed:
            killed.extend(_kill_training_worker())

    assert not needs_episodes(settings, job_directory)
    train_world_model(settings, files=(), job_directory=job_directory, provenance={}, on_steps=kill_once)
    assert killed
    rows = [json.loads(line) for line in (job_directory / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == list(range(20, 401, 20))
    assert rows[0]["resumed_from_step"] == 0
    assert 40 <= rows[-1]["resumed_from_step"] < 400
    assert (tmp_path / "kept" / "ray_train").is_dir()
    assert not (job_directory / "ray_train").exists()
    assert (job_directory / "adapter").is_dir()
    changed = WorldModel.from_directory(tmp_path / "model").transformer.state_dict()
    base = WorldModel.from_directory(root / "model").transformer.state_dict()
    assert changed.keys() == base.keys()
    assert any(not torch.equal(changed[name], base[name]) for name in base)


def _kill_training_worker():
    found = [
        process
        for process in psutil.Process().children(recursive=True)
        if "RayTrainWorker" in " ".join(process.cmdline())
    ]
    for process in found:
        os.kill(process.pid, signal.SIGKILL)
    return [process.pid for process in found]
