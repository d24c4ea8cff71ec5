"""Supervised training of the video world model on recorded clips, before any reinforcement learning."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from eva_rl.config.pretraining import SftSettings
from eva_rl.data.encoded import EncodedClips, are_encoded
from eva_rl.data.encoded_stream import stream_encoded
from eva_rl.data.episodes import split_episodes
from eva_rl.data.formats import read_instructions
from eva_rl.pretraining.clips import read_clips, window_shape
from eva_rl.pretraining.encoded_clips import encoded_clips, encoded_location
from eva_rl.pretraining.job_directory import write_card
from eva_rl.pretraining.loop_options import TRAINING, VALIDATION, LoopOptions
from eva_rl.pretraining.train_job import OnSteps, run_train_job
from eva_rl.pretraining.trained_model import write_trained
from eva_rl.pretraining.workers import train_world_model_on_worker
from eva_rl.pretraining.world_model_trainee import opening
from eva_rl.records.episode import EpisodeRef
from eva_rl.world_model.codec_fit import fit_linear_patch_codec
from eva_rl.world_model.creation import create_tiny_wan_directory
from eva_rl.world_model.text import WORD

WORLD_MODEL_OPTIONS = LoopOptions(decay_share=0.4)
"""A long plateau: a small transformer on few clips gains most from many steps at the full rate."""

INITIAL_DIRECTORY = "initial"
NUM_CODEC_CLIPS = 300


def train_world_model(
    settings: SftSettings,
    *,
    files: Sequence[EpisodeRef],
    job_directory: Path,
    provenance: Mapping[str, object],
    on_steps: OnSteps = lambda num_steps, note: None,
    options: LoopOptions = WORLD_MODEL_OPTIONS,
) -> dict[str, Any]:
    """Trains a world model and writes its pipeline directory to `settings.training.directory`.

    A new model gets a codec fitted to the clips and random weights; it lies in `<job_directory>/initial`
    before training starts, so that an inverse dynamics model can learn from its reconstructions meanwhile.
    The clips are encoded once, into `data.encoded`; workers read latents and embeddings from there.

    Args:
        settings: all settings of the recipe.
        files: usable episodes; a share of every task's is held out for validation. May be empty where
            `needs_episodes` says so.
        job_directory: of this job; one that holds a job is continued.
        provenance: facts for the card: command, commit, versions, hardware.
        on_steps: called with the number of new steps and a short note, at every report.
        options: of the training loop.

    Returns:
        What was reported with the weights that were kept.

    Raises:
        EncodedClipsError: `data.encoded` holds clips that were made for something else.
        ValueError: a LoRA is to be merged into a directory that holds a model already.
    """
    model, directory = settings.world_model, settings.training.directory
    if model.lora_rank is not None and (directory / "model_index.json").exists():
        raise ValueError(f"training.directory {directory} holds a model already; name a new directory")
    start = start_of(settings, job_directory)
    if not start.is_dir() and model.start_from is None:
        _create_initial(start, settings, files=files)
    clips = encoded_clips(
        settings,
        world_model=start,
        opening=opening(model),
        files=files,
        job_directory=job_directory,
        on_steps=on_steps,
    )
    weights, metrics = run_train_job(
        train_world_model_on_worker,
        {"settings": settings, "start": start.resolve(), "options": options},
        datasets={
            TRAINING: stream_encoded(clips, TRAINING),
            VALIDATION: stream_encoded(clips, VALIDATION, columns=_validation_columns(settings, clips)),
        },
        settings=settings.training,
        job_directory=job_directory,
        on_steps=on_steps,
    )
    num_parameters = write_trained(weights, settings, start=start, job_directory=job_directory)
    write_card(
        directory,
        provenance=provenance,
        settings=settings.model_dump(mode="json"),
        num_training_episodes=clips.num_episodes[TRAINING],
        num_held_out_episodes=clips.num_episodes[VALIDATION],
        num_training_clips=clips.num_clips(TRAINING),
        num_parameters=num_parameters,
        metrics=metrics,
    )
    return metrics


def _validation_columns(settings: SftSettings, clips: EncodedClips) -> list[str]:
    """What validation needs of the clips: recorded motion too, where imagined motion is compared with it."""
    return [*clips.tensors, *(("actions",) if settings.world_model.validation_idm else ())]


def start_of(settings: SftSettings, job_directory: Path) -> Path:
    """The pipeline directory that training starts from."""
    return settings.world_model.start_from or job_directory / INITIAL_DIRECTORY


def needs_episodes(settings: SftSettings, job_directory: Path) -> bool:
    """Whether a job reads recorded episodes: not where its clips are encoded and its first model is there."""
    is_encoded = are_encoded(encoded_location(settings, job_directory))
    return not (is_encoded and start_of(settings, job_directory).is_dir())


def _create_initial(directory: Path, settings: SftSettings, *, files: Sequence[EpisodeRef]) -> None:
    files, _ = split_episodes(
        files, held_out_share=settings.training.validation_share, seed=settings.run.seed
    )
    frames = read_clips(files, shape=window_shape(settings.video), num_clips=NUM_CODEC_CLIPS)
    instructions = sorted({text for file in files for texts in read_instructions(file) for text in texts})
    model, seed = settings.world_model, settings.run.seed
    create_tiny_wan_directory(
        directory,
        codec=fit_linear_patch_codec(frames, channels=model.codec_channels, seed=seed),
        instructions=instructions,
        max_text_tokens=max(_num_tokens(text) for text in instructions),
        seed=seed,
        dim=model.dim,
        num_layers=model.num_layers,
        num_heads=model.num_heads,
        ffn_dim=model.ffn_dim,
        shift=model.shift,
        conditioning="first_frame_forcing" if model.conditioning == "auto" else model.conditioning,
    )


def _num_tokens(instruction: str) -> int:
    return len(WORD.findall(instruction)) + 1  # and the end token
