"""Replays one denoising step of several groups under the policy of now."""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from eva_rl.records.rollout import RolloutGroup, TrainedStep
from eva_rl.rl.objective import Objective
from eva_rl.rl.replay import ReplayLoss, replay_step
from eva_rl.world_model.lora import reference_policy
from eva_rl.world_model.world_model import WorldModel

StepNoise = Callable[[RolloutGroup, int], Tensor]
"""(group, denoising step) -> the noise that the step was sampled with."""


def replay_groups(
    world_model: WorldModel,
    groups: Sequence[RolloutGroup],
    advantages: Float[Tensor, "groups members"],
    *,
    position: int,
    objective: Objective,
    network: nn.Module,
    draw_step_noise: StepNoise,
) -> list[ReplayLoss]:
    """Losses of several groups at one of their trained steps, from one network call.

    Args:
        world_model: holds the policy; its adapter is switched off for the reference.
        groups: that were sampled with the same schedule and window.
        advantages: [groups, members].
        position: which of the groups' trained steps.
        objective: what to learn with.
        network: called instead of the bare transformer, for DeepSpeed's sake.
        draw_step_noise: draws a step's noise again, where the loss needs it.
    """
    steps = [group.trained_steps[position].to(world_model.device) for group in groups]
    advantages = advantages.to(world_model.device)
    velocities = _flow_velocities(world_model, groups, steps, network)
    references: Sequence[Tensor | None] = [None] * len(groups)
    if objective.kl_beta > 0:
        with torch.no_grad(), reference_policy(world_model.transformer):
            references = _flow_velocities(world_model, groups, steps, network)
    return [
        replay_step(
            step,
            velocity,
            reference_flow_velocity=reference,
            advantages=group_advantages,
            sigmas=group.sigmas,
            objective=objective,
            free_frames=world_model.free_frames(step.latents),
            step_noise=draw_step_noise(group, step.index) if objective.loss == "grpo_guard" else None,
        )
        for group, step, velocity, reference, group_advantages in zip(
            groups, steps, velocities, references, advantages, strict=True
        )
    ]


def _flow_velocities(
    world_model: WorldModel, groups: Sequence[RolloutGroup], steps: Sequence[TrainedStep], network: nn.Module
) -> tuple[Tensor, ...]:
    """Flow velocity at every group's latents; a fork that a group shares is one row."""
    rows = torch.tensor([len(step.latents) for step in steps])
    first_latents = torch.stack([group.condition.first_latents for group in groups]).to(world_model.device)
    text = torch.stack([group.condition.text for group in groups]).to(world_model.device)
    rows = rows.to(world_model.device)
    velocity = world_model.flow_velocity(
        torch.cat([step.latents for step in steps]),
        groups[0].sigmas[steps[0].index],
        first_latents.repeat_interleave(rows, 0),
        text.repeat_interleave(rows, 0),
        network=network,
    )
    return velocity.split(rows.tolist())
