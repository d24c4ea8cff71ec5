"""The clips of an inverse dynamics training: windows of frames, or latents out of the encoding stage."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import ray.data

from eva_rl.config.models import WorldModelSettings
from eva_rl.config.pretraining import IdmSettings
from eva_rl.data.encoded_stream import stream_encoded
from eva_rl.data.episodes import split_episodes
from eva_rl.data.ray_pipeline import stream_windows
from eva_rl.pretraining.clips import window_shape
from eva_rl.pretraining.encoded_clips import encoded_clips
from eva_rl.pretraining.idm_models import Latents, reads_latents
from eva_rl.pretraining.loop_options import TRAINING, VALIDATION
from eva_rl.pretraining.train_job import OnSteps
from eva_rl.records.episode import EpisodeRef
from eva_rl.world_model.part_hashes import hash_codec

LATENT_COLUMNS = ("latents", "actions")


@dataclass(frozen=True, kw_only=True)
class IdmClips:
    """What a job learns from.

    Attributes:
        training_files: episodes to learn from.
        held_out_files: episodes of the validation.
        datasets: clips of both, by name.
        latents: facts about them, where they are encoded.
    """

    training_files: Sequence[EpisodeRef]
    held_out_files: Sequence[EpisodeRef]
    datasets: Mapping[str, ray.data.Dataset]
    latents: Latents | None = None


def clips_of(
    settings: IdmSettings, *, files: Sequence[EpisodeRef], job_directory: Path, on_steps: OnSteps
) -> IdmClips:
    """The clips that a job learns from; encodes them first for a kind that reads latents.

    Args:
        settings: all settings of the recipe.
        files: usable episodes; a share of every task's is held out for validation.
        job_directory: of this job.
        on_steps: told about the encoding.

    Raises:
        EncodedClipsError: `data.encoded` holds clips that were made for something else.
    """
    training, held_out = split_episodes(
        files, held_out_share=settings.training.validation_share, seed=settings.run.seed
    )
    world_model = settings.idm.world_model
    if world_model is None or not reads_latents(settings):
        shape = window_shape(settings.video)
        datasets = {
            TRAINING: stream_windows(training, shape=shape, shuffle_seed=settings.run.seed),
            VALIDATION: stream_windows(held_out, shape=shape),
        }
        return IdmClips(training_files=training, held_out_files=held_out, datasets=datasets)
    encoded = encoded_clips(
        settings,
        world_model=world_model,
        opening=WorldModelSettings(),
        files=files,
        job_directory=job_directory,
        on_steps=on_steps,
    )
    channels, num_latent_frames, height, width = encoded.tensors["latents"]
    return IdmClips(
        training_files=training,
        held_out_files=held_out,
        datasets={
            split: stream_encoded(encoded, split, columns=LATENT_COLUMNS) for split in (TRAINING, VALIDATION)
        },
        latents=Latents(shape=(channels, num_latent_frames, height, width), codec=hash_codec(world_model)),
    )
