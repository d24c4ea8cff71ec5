"""The first training step without DeepSpeed, Ray or ranks: what the learner's must be equal to."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor, nn

from eva_rl.actors.adapter_averages import AdapterAverages
from eva_rl.actors.anchor import anchor_loss
from eva_rl.actors.learning_rules import learning_rule
from eva_rl.config.align import AlignSettings
from eva_rl.records.calibration import Calibration
from eva_rl.records.rollout import RolloutGroup
from eva_rl.world_model.adapter_io import read_adapter
from eva_rl.world_model.lora import adapter_parameters
from eva_rl.world_model.world_model import WorldModel


def plain_step(
    settings: AlignSettings,
    world_model: WorldModel,
    groups: Sequence[RolloutGroup],
    weights: Float[Tensor, "groups members *cells"],
    *,
    calibration: Calibration,
    idm_directory: str,
) -> NDArray[np.float32]:
    """Takes one clipped AdamW step on the whole batch and returns the adapter that generators would get.

    Args:
        settings: of the run, with one optimiser step per batch.
        world_model: with the run's first adapter, which is updated.
        groups: rollouts of the first batch.
        weights: as the learner received them.
        calibration: as the learner received it.
        idm_directory: for losses that read joints.
    """
    rule = learning_rule(settings, world_model, idm_directory=idm_directory)
    rule.prepare(calibration)
    transformer = world_model.transformer
    averages = AdapterAverages(settings.algorithm, torch.from_numpy(read_adapter(transformer, 0).values))
    rule.begin_batch(behaviour=averages.behaviour)
    parameters = [weight for _, weight in adapter_parameters(transformer)]
    # the step is taken in float32 and then rounded, as DeepSpeed does for bfloat16
    masters = [nn.Parameter(weight.detach().float()) for weight in parameters]
    gradients = [torch.zeros_like(master) for master in masters]

    size = settings.learner.groups_per_micro_batch
    num_backward = len(groups) // size * rule.num_passes
    for first in range(0, len(groups), size):
        part = slice(first, first + size)
        for pass_index in range(rule.num_passes):
            found = rule.losses(groups[part], weights[part], pass_index=pass_index, network=transformer)
            loss = torch.stack([group.loss for group in found]).mean()
            if settings.algorithm.anchor_weight > 0:
                anchor = anchor_loss(world_model, groups[part], pass_index=pass_index, network=transformer)
                loss = loss + settings.algorithm.anchor_weight * anchor
            found_gradients = torch.autograd.grad(loss / num_backward, parameters, allow_unused=True)
            for total, gradient in zip(gradients, found_gradients, strict=True):
                if gradient is not None:
                    total += gradient.float()

    _adamw(masters, gradients, settings)
    with torch.no_grad():
        for weight, master in zip(parameters, masters, strict=True):
            weight.copy_(master)
    newest = read_adapter(transformer, 1).values
    averages.update(torch.from_numpy(newest))
    return newest if averages.behaviour is None else averages.behaviour.numpy()


def _adamw(masters: Sequence[nn.Parameter], gradients: Sequence[Tensor], settings: AlignSettings) -> None:
    """Torch's own AdamW at the first learning rate of the warm-up."""
    learner = settings.learner
    for master, gradient in zip(masters, gradients, strict=True):
        master.grad = gradient
    torch.nn.utils.clip_grad_norm_(masters, learner.max_grad_norm)
    optimizer = torch.optim.AdamW(
        masters,
        lr=learner.learning_rate / (learner.warmup_steps + 1),
        betas=learner.betas,
        weight_decay=learner.weight_decay,
    )
    optimizer.step()
