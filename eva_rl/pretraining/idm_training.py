"""Training of an inverse dynamics model on recorded clips: frames and reconstructions of them, or latents."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from eva_rl.config.pretraining import IdmSettings
from eva_rl.data.formats import read_actions
from eva_rl.data.statistics import ActionStatistics
from eva_rl.idm.kinds import AnyIdm
from eva_rl.pretraining.idm_clips import clips_of
from eva_rl.pretraining.idm_models import architecture_of, new_idm
from eva_rl.pretraining.idm_rules import refuse_impossible
from eva_rl.pretraining.idm_trainee import IdmObjective
from eva_rl.pretraining.job_directory import write_card
from eva_rl.pretraining.loop_options import LoopOptions
from eva_rl.pretraining.train_job import OnSteps, run_train_job
from eva_rl.pretraining.training_loop import load_learned
from eva_rl.pretraining.workers import train_idm_on_worker
from eva_rl.records.episode import EpisodeRef

IDM_OPTIONS = LoopOptions(decay_share=1.0)


def train_idm(
    settings: IdmSettings,
    *,
    files: Sequence[EpisodeRef],
    job_directory: Path,
    provenance: Mapping[str, object],
    on_steps: OnSteps = lambda num_steps, note: None,
    options: LoopOptions = IDM_OPTIONS,
) -> dict[str, Any]:
    """Trains an inverse dynamics model and writes its directory to `settings.training.directory`.

    Args:
        settings: all settings of the recipe.
        files: usable episodes; a share of every task's is held out for validation.
        job_directory: of this job; one that holds a job is continued.
        provenance: facts for the card: command, commit, versions, hardware.
        on_steps: called with the number of new steps and a short note, at every report.
        options: of the training loop.

    Returns:
        What was reported with the weights that were kept.

    Raises:
        ConfigError: settings that contradict each other, or do not fit the kind of model.
        EncodedClipsError: `data.encoded` holds clips that were made for something else.
    """
    refuse_impossible(settings)
    clips = clips_of(settings, files=files, job_directory=job_directory, on_steps=on_steps)
    architecture = architecture_of(settings, clips.latents)
    statistics = ActionStatistics.from_actions(read_actions(clips.training_files))
    weights, metrics = run_train_job(
        train_idm_on_worker,
        {
            "settings": settings,
            "architecture": architecture,
            "statistics": statistics,
            "options": options,
        },
        datasets=clips.datasets,
        settings=settings.training,
        job_directory=job_directory,
        on_steps=on_steps,
    )
    model = _trained(new_idm(architecture, settings, statistics), weights)
    model.save(settings.training.directory)
    write_card(
        settings.training.directory,
        provenance=provenance,
        settings=settings.model_dump(mode="json"),
        num_training_episodes=len(clips.training_files),
        num_held_out_episodes=len(clips.held_out_files),
        num_training_frames=statistics.num_frames,
        action_lower=statistics.lower.tolist(),
        action_upper=statistics.upper.tolist(),
        num_parameters=sum(weight.numel() for weight in model.parameters()),
        metrics=metrics,
    )
    return metrics


def _trained(model: AnyIdm, weights: Mapping[str, Tensor]) -> AnyIdm:
    """The model with what the job's network learned."""
    load_learned(IdmObjective(model, acceleration_weight=0.0), weights)
    return model
