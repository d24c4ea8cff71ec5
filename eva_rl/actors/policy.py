"""The policy that generators sample from and the learner trains: one world model, one adapter."""

import torch

from eva_rl.config.align import AlignSettings
from eva_rl.rl.objective import Objective
from eva_rl.rl.windows import StepWindow, stochastic_steps
from eva_rl.world_model.lora import attach_adapter
from eva_rl.world_model.world_model import WorldModel


def open_policy(settings: AlignSettings, world_model_directory: str) -> WorldModel:
    """Opens the world model and attaches the untouched adapter, equal bit for bit in every process."""
    world_model = WorldModel.from_directory(
        world_model_directory,
        dtype=getattr(torch, settings.world_model.precision),
        device="cuda" if torch.cuda.is_available() else "cpu",
    )
    attach_adapter(
        world_model.transformer,
        rank=settings.adapter.rank,
        alpha=settings.adapter.alpha,
        target_modules=settings.adapter.target_modules,
        seed=settings.run.seed,
    )
    return world_model


def chosen_steps(settings: AlignSettings, *, training_step: int) -> tuple[int, ...]:
    """The stochastic denoising steps of a training step; calibration, before step 0, uses step 0's."""
    sampling = settings.sampling
    window = StepWindow(
        scheme=sampling.window,
        size=sampling.window_size,
        first_step=sampling.window_first_step,
        end_step=sampling.window_end_step,
        fraction=sampling.window_fraction,
        slide_every_steps=sampling.window_slide_every_steps,
    )
    return stochastic_steps(
        sampling.num_steps, window, training_step=max(training_step, 0), seed=settings.run.seed
    )


def objective(settings: AlignSettings) -> Objective:
    """What a trained step is learned with, from the settings."""
    return Objective(
        kernel=settings.sampling.kernel,
        noise_level=settings.sampling.noise_level,
        loss=settings.algorithm.loss,
        ratio_clip=settings.algorithm.ratio_clip,
        kl_form=settings.algorithm.kl_form,
        kl_beta=settings.algorithm.kl_beta,
    )
