"""Pretraining jobs at a size of seconds: they learn, leave models that load, continue where they stopped."""

import json

import numpy as np
import pytest
import torch
import torch._inductor.config

from eva_rl import pretrained
from eva_rl.config.pretraining import IdmSettings, SftSettings
from eva_rl.config.section import ConfigError
from eva_rl.config.video import VideoSettings
from eva_rl.data.formats import read_episode
from eva_rl.data.listing import list_episodes
from eva_rl.data.ray_pipeline import stream_windows
from eva_rl.idm import IDM_KINDS, InverseDynamicsModel, open_idm
from eva_rl.pretraining.clips import batches_from_stream, window_shape
from eva_rl.pretraining.collection import collect_demonstrations
from eva_rl.pretraining.idm_rules import refuse_impossible
from eva_rl.pretraining.idm_trainee import as_tensors
from eva_rl.pretraining.idm_training import train_idm
from eva_rl.pretraining.loop_options import VALIDATION_LOSS
from eva_rl.pretraining.metrics_log import MetricsLog, followed
from eva_rl.pretraining.progress import TrainingProgress, learning_rate_share
from eva_rl.pretraining.world_model_trainee import WorldModelTrainee, compile_blocks
from eva_rl.pretraining.world_model_training import train_world_model
from eva_rl.world_model import WorldModel

pytestmark = pytest.mark.integration
TASKS = ("click_bell", "grab_roller")
NUM_EPISODES = 5


def collect(directory, *, num_episodes=NUM_EPISODES):
    return collect_demonstrations(
        directory,
        tasks=TASKS,
        num_episodes_per_task=num_episodes,
        first_scene_seed=0,
        video=VideoSettings(),
    )


@pytest.fixture(scope="module")
def demonstrations(local_ray, tmp_path_factory):
    directory = tmp_path_factory.mktemp("demonstrations")
    collect(directory)
    return directory


def job(directory, *, num_steps, num_workers=1):
    return {
        "num_workers": num_workers,
        "directory": directory,
        "num_steps": num_steps,
        "batch_size": 4,
        "warmup_steps": 2,
        "validation_share": 0.2,
        "validate_every_steps": 4,
        "checkpoint_every_steps": 8,
    }


def world_model_settings(directory, *, num_steps):
    return SftSettings.model_validate(
        {
            "training": job(directory, num_steps=num_steps),
            "world_model": {"dim": 32, "num_layers": 1, "num_heads": 2, "ffn_dim": 64, "compiles": False},
        }
    )


def reported_steps(job_directory):
    return [json.loads(line)["step"] for line in (job_directory / "metrics.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def world_model_job(demonstrations, tmp_path_factory):
    root = tmp_path_factory.mktemp("world_model")
    settings = world_model_settings(root / "model", num_steps=12)
    files = list_episodes(demonstrations)
    train_world_model(settings, files=files, job_directory=root / "job", provenance={"commit": "abc"})
    return root


def test_recording_again_keeps_episodes_and_continues_behind_them(demonstrations, tmp_path):
    first = collect(tmp_path, num_episodes=2)
    again = collect(tmp_path)
    assert [outcome.num_kept for outcome in first] == [0, 0]
    assert [outcome.num_kept for outcome in again] == [2, 2]
    for interrupted, whole in zip(list_episodes(tmp_path), list_episodes(demonstrations), strict=True):
        interrupted, whole = read_episode(interrupted), read_episode(whole)
        assert interrupted.scene_seed == whole.scene_seed
        np.testing.assert_array_equal(interrupted.actions, whole.actions)
        np.testing.assert_array_equal(interrupted.frames, whole.frames)


def test_world_model_training_lowers_the_held_out_error_and_leaves_a_pipeline(world_model_job):
    lines = (world_model_job / "job" / "metrics.jsonl").read_text().splitlines()
    losses = [json.loads(line)[VALIDATION_LOSS] for line in lines]
    assert losses[-1] < losses[0]
    world_model = WorldModel.from_directory(world_model_job / "model", with_text_encoder=True)
    latents = world_model.encode_frames(torch.zeros(1, 17, 48, 64, 3, dtype=torch.uint8))
    assert tuple(latents.shape[1:]) == world_model.latent_shape(17, 48, 64)
    initial = WorldModel.from_directory(world_model_job / "job" / "initial")
    trained = dict(world_model.transformer.named_parameters())
    changed = [
        not torch.equal(weight, trained[name]) for name, weight in initial.transformer.named_parameters()
    ]
    assert all(changed)


def test_the_card_says_how_the_model_came_about(world_model_job):
    card = json.loads((world_model_job / "model" / "card.json").read_text())
    assert card["provenance"] == {"commit": "abc"}
    assert (card["num_training_episodes"], card["num_held_out_episodes"]) == (8, 2)
    assert card["settings"]["training"]["num_steps"] == 12
    assert card["metrics"]["cpu_s"] > 0


def test_a_longer_training_continues_where_the_job_stopped_and_an_idm_reads_what_it_imagines(
    world_model_job, demonstrations
):
    job_directory, model = world_model_job / "job", world_model_job / "longer"
    before = reported_steps(job_directory)
    settings = world_model_settings(model, num_steps=20)
    reader = settings.world_model.model_copy(update={"validation_idm": pretrained.IDM})
    settings = settings.model_copy(update={"world_model": reader})
    files = list_episodes(demonstrations)
    train_world_model(settings, files=files, job_directory=job_directory, provenance={})
    assert before[-1] == 12
    assert reported_steps(job_directory)[len(before) :] == [16, 20]
    last = json.loads((job_directory / "metrics.jsonl").read_text().splitlines()[-1])
    assert 0 <= last["validation/frame_accuracy"] < 0.5  # twelve steps imagine nothing yet
    assert last["validation/joint_rmse_rad"] > 0.05


def test_idm_training_on_two_workers_lowers_the_held_out_error_and_leaves_a_model(
    world_model_job, demonstrations
):
    model, job_directory = world_model_job / "idm", world_model_job / "idm_job"
    settings = IdmSettings.model_validate(
        {
            "training": job(model, num_steps=12, num_workers=2),
            "idm": {"world_model": world_model_job / "job" / "initial"},
        }
    )
    files = list_episodes(demonstrations)
    metrics = train_idm(settings, files=files, job_directory=job_directory, provenance={})
    lines = (job_directory / "metrics.jsonl").read_text().splitlines()
    assert metrics[VALIDATION_LOSS] < json.loads(lines[0])[VALIDATION_LOSS]
    positions = InverseDynamicsModel.from_directory(model).decode_positions(torch.zeros(1, 17, 3, 48, 64))
    assert positions.shape == (1, 17, 14)


@pytest.mark.parametrize(
    ("kind", "sizes"),
    [
        ("latent", {"channels": (16, 16, 16)}),
        pytest.param("masked", {"mirrored_share": 0.5, "mask_channels": 8}, marks=pytest.mark.slow),
        pytest.param(
            "resnet_plus",
            {"width": 4, "input_size": 64, "reconstruction_share": 0.0},
            marks=pytest.mark.slow,
        ),
    ],
)
def test_the_recipe_trains_every_other_kind_too(world_model_job, demonstrations, tmp_path, kind, sizes):
    settings = IdmSettings.model_validate(
        {
            "training": job(tmp_path / "idm", num_steps=12),
            "idm": {"kind": kind, "world_model": world_model_job / "job" / "initial", **sizes},
        }
    )
    metrics = train_idm(
        settings, files=list_episodes(demonstrations), job_directory=tmp_path / "job", provenance={}
    )
    first = json.loads((tmp_path / "job" / "metrics.jsonl").read_text().splitlines()[0])
    assert metrics[VALIDATION_LOSS] < first[VALIDATION_LOSS]
    assert 0 <= metrics["validation/frame_accuracy"] <= 1
    assert metrics["validation/joint_rmse_rad"] > 0
    model = open_idm(tmp_path / "idm")
    assert type(model) is IDM_KINDS[kind].model
    given = (1, 17, 3, 48, 64) if model.reads == "frames" else (1, 48, 5, 6, 8)
    assert model.decode_positions(torch.zeros(given)).shape == (1, 17, 14)


@pytest.mark.parametrize(
    ("idm", "robot", "sentence"),
    [
        ({"kind": "latent"}, {}, r"idm.kind = latent reads codec latents, but idm.world_model names no"),
        ({"kind": "latent", "world_model": ".", "mirrored_share": 0.5}, {}, "latents cannot be mirrored"),
        (
            {"world_model": ".", "mirrored_share": 0.5},
            {"embodiment": "franka-panda"},
            "idm.mirrored_share is 0.5, but embodiment 'franka-panda' gives no mirror_signs",
        ),
        ({"world_model": ".", "mask_penalty": 0.1}, {}, "idm.mask_penalty: idm.kind = conv has no such size"),
        (
            {"kind": "latent", "world_model": ".", "mask_penalty": 0.1},
            {},
            "idm.mask_penalty: idm.kind = latent has no such size",
        ),
        ({"world_model": "no-model"}, {}, "idm.world_model no-model holds no model_index.json"),
        (
            {"kind": "resnet_plus", "world_model": ".", "window_offset_s": 0.12},
            {},
            "idm.kind = resnet_plus: frame_period_s 0.2 does not fit window_offset_s 0.12",
        ),
    ],
)
def test_impossible_idm_settings_are_refused_before_anything_is_read(idm, robot, sentence, tmp_path):
    settings = IdmSettings.model_validate({"idm": idm, "robot": robot})
    with pytest.raises(ConfigError, match=sentence):
        refuse_impossible(settings)


def test_reconstructions_without_a_world_model_are_refused_by_the_settings_name(demonstrations, tmp_path):
    with pytest.raises(ValueError, match=r"idm.reconstruction_share is 0.7, but idm.world_model"):
        train_idm(
            IdmSettings(),
            files=list_episodes(demonstrations),
            job_directory=tmp_path,
            provenance={},
        )


def test_streamed_batches_show_every_clip_once_per_epoch_in_a_new_order(demonstrations):
    files = list_episodes(demonstrations)
    stream = stream_windows(files, shape=window_shape(VideoSettings())).iterator()
    batches = batches_from_stream(stream, prepare=as_tensors, batch_size=5)
    epochs = [torch.cat([next(batches)["actions"][:, 0, 0] for _ in range(2)]) for _ in range(2)]
    assert torch.equal(epochs[0].sort().values, epochs[1].sort().values)
    assert len(epochs[0].unique()) == len(files)
    assert not torch.equal(epochs[0], epochs[1])


def test_a_compiler_that_fails_is_reported_and_training_works_without_it(world_model_job, caplog):
    world_model = WorldModel.from_directory(world_model_job / "job" / "initial")
    clips = {"latents": torch.ones(2, 48, 5, 6, 8), "text": torch.ones(2, 8, 64)}
    trainee = WorldModelTrainee(world_model, clips, shift=3.0)
    with torch._inductor.config.patch({"cpp.cxx": ("no-such-compiler",)}):
        assert not compile_blocks(trainee, clips)
    assert "compilation failed" in caplog.text
    loss = trainee.loss(trainee.network, clips, generator=torch.Generator().manual_seed(0))
    assert torch.isfinite(loss)


def test_the_learning_rate_rises_stays_and_falls():
    def share_at(step):
        progress = TrainingProgress(num_steps=100, step=step)
        return learning_rate_share(progress, warmup_steps=10, decay_share=0.4)

    assert share_at(0) == pytest.approx(0.1)
    assert [share_at(step) for step in (9, 30, 60)] == pytest.approx([1.0, 1.0, 1.0])
    assert share_at(80) == pytest.approx(0.505)
    assert share_at(100) == pytest.approx(0.01)


def test_a_used_up_cpu_budget_ends_training_before_its_steps():
    progress = TrainingProgress(num_steps=100, cpu_budget_s=50.0, step=10, cpu_s=25.0)
    assert progress.share == pytest.approx(0.5)
    progress.cpu_s = 60.0
    assert progress.share == 1.0


def test_whoever_started_a_job_sees_each_report_of_this_attempt_once(tmp_path):
    file, seen = tmp_path / "metrics.jsonl", []
    file.write_text('{"step": 1}\n')
    with followed(file, lambda metrics: seen.append(metrics["step"])):
        for step in (2, 3):
            MetricsLog(file).after_report(None, [{"step": step}, {"step": -1}], None)
    assert seen == [2, 3]
