"""The encoding stage of a training job: its episodes as latents, made once and found again."""

from collections.abc import Sequence
from pathlib import Path

from eva_rl.config.models import WorldModelSettings
from eva_rl.config.pretraining import IdmSettings, SftSettings
from eva_rl.data.encoded import EncodedClips
from eva_rl.pretraining.clips import window_shape
from eva_rl.pretraining.encoding import EncoderWorkers, encode_episodes
from eva_rl.pretraining.encoding_plan import plan_of
from eva_rl.pretraining.train_job import OnSteps
from eva_rl.records.episode import EpisodeRef

ENCODED_DIRECTORY = "encoded"


def encoded_location(settings: SftSettings | IdmSettings, job_directory: Path) -> str:
    """Where a job's encoded clips lie, or will."""
    return settings.data.encoded or str(job_directory / ENCODED_DIRECTORY)


def encoded_clips(
    settings: SftSettings | IdmSettings,
    *,
    world_model: Path,
    opening: WorldModelSettings,
    files: Sequence[EpisodeRef],
    job_directory: Path,
    on_steps: OnSteps,
) -> EncodedClips:
    """The clips that a job learns from; encodes them unless they are.

    Args:
        settings: of the recipe.
        world_model: pipeline directory that encodes.
        opening: how it is opened.
        files: usable episodes.
        job_directory: of the job.
        on_steps: told how many clips are encoded.

    Raises:
        EncodedClipsError: they were made for something else.
    """
    training = settings.training
    num_encoded = 0

    def show(num_clips: int) -> None:
        nonlocal num_encoded
        num_encoded += num_clips
        on_steps(0, f"{num_encoded} clips encoded")

    plan = plan_of(
        world_model,
        shape=window_shape(settings.video),
        seed=settings.run.seed,
        held_out_share=training.validation_share,
        source=settings.data.directory,
        settings=opening,
    )
    return encode_episodes(
        files,
        encoded_location(settings, job_directory),
        plan=plan,
        world_model=world_model,
        settings=opening,
        workers=EncoderWorkers(
            count=training.num_workers,
            num_threads=training.num_threads,
            num_gpus=training.num_gpus_per_worker,
        ),
        on_clips=show,
    )
