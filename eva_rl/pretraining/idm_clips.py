"""The clips of an inverse dynamics training: windows of frames, or latents out of the encoding stage."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import ray.data

from eva_rl.config.models import WorldModelSettings
from eva_rl.config.pretraining import IdmSettings
from eva_rl.config.section import ConfigError
from eva_rl.data.encoded_stream import stream_encoded
from eva_rl.data.episodes import split_episodes
from eva_rl.data.ray_pipeline import stream_windows
from eva_rl.embodiments.mirroring import Mirror
from eva_rl.embodiments.table import EMBODIMENTS
from eva_rl.idm.kinds import IDM_KINDS
from eva_rl.pretraining.clips import window_shape
from eva_rl.pretraining.encoded_clips import encoded_clips
from eva_rl.pretraining.idm_models import Latents, architecture_of
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


def reads_latents(settings: IdmSettings) -> bool:
    """Whether the settings' kind of model is given latents instead of frames."""
    return IDM_KINDS[settings.idm.kind].model.reads == "latents"


def refuse_impossible(settings: IdmSettings) -> None:
    """Refuses settings that contradict each other.

    Raises:
        ConfigError: with a sentence for each.
    """
    idm, problems = settings.idm, []
    if idm.world_model is None and reads_latents(settings):
        problems.append(
            f"idm.kind = {idm.kind} reads codec latents, but idm.world_model names no pipeline directory "
            "whose codec encodes them; give one"
        )
    elif idm.world_model is None and idm.reconstruction_share > 0:
        problems.append(
            f"idm.reconstruction_share is {idm.reconstruction_share:g}, but idm.world_model names "
            "no pipeline directory whose codec could reconstruct clips; give one, or set the share to 0"
        )
    if idm.mirrored_share > 0 and reads_latents(settings):
        problems.append(
            f"idm.mirrored_share is {idm.mirrored_share:g}, but idm.kind = {idm.kind} reads clips that are "
            "encoded already, and latents cannot be mirrored; set it to 0"
        )
    elif idm.mirrored_share > 0:
        try:
            Mirror.of(EMBODIMENTS[settings.robot.embodiment])
        except ValueError as refusal:
            problems.append(f"idm.mirrored_share is {idm.mirrored_share:g}, but {refusal}")
    if not reads_latents(settings):  # what latents there will be is known after the encoding only
        try:
            architecture_of(settings)
        except ConfigError as refusal:
            problems += refusal.problems
    if problems:
        raise ConfigError(problems)


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
