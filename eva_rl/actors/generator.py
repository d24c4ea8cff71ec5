"""The generator: conditions in, groups of rollouts out."""

import time
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from eva_rl.actors.policy import chosen_steps, open_policy
from eva_rl.config.align import AlignSettings
from eva_rl.records.adapter import AdapterVersion, AdapterWeights
from eva_rl.records.condition import EncodedCondition
from eva_rl.records.rollout import RolloutGroup
from eva_rl.rl.sampler import GroupNoise, sample_groups
from eva_rl.rl.seeds import rollout_seed
from eva_rl.world_model.adapter_io import write_adapter
from eva_rl.world_model.lora import live_version


class Generator:
    """Samples rollouts of the current policy. A plain class: Ray wraps it once, in `pool.py`.

    Consumes encoded conditions; waits for nothing; produces rollout groups that name the adapter which is
    really in the network; is unblocked by `write_adapter`.
    """

    def __init__(self, settings: AlignSettings, world_model_directory: str) -> None:
        torch.set_num_threads(settings.generators.num_threads)
        self._settings = settings
        self._world_model = open_policy(settings, world_model_directory)
        self._training_step = 0

    def write_adapter(self, weights: AdapterWeights) -> AdapterVersion:
        """Replaces the adapter; returns its version with the hash of the live weights."""
        write_adapter(self._world_model.transformer, weights)
        self._training_step = weights.version.training_step
        return self.version()

    def version(self) -> AdapterVersion:
        """The adapter that is really in the network: its hash is computed anew from the live weights."""
        return live_version(self._world_model.transformer, self._training_step)

    def generate_group(self, condition: EncodedCondition, training_step: int) -> RolloutGroup:
        """Samples the group of one condition."""
        return self.generate([condition], training_step)[0]

    def generate(self, conditions: Sequence[EncodedCondition], training_step: int) -> list[RolloutGroup]:
        """Samples one group per condition, all in the same forward passes.

        Args:
            conditions: of the same clip size.
            training_step: batch that the groups belong to; seeds noise and window.
        """
        started = time.perf_counter()
        sampling, version = self._settings.sampling, self.version()
        seeds = [
            rollout_seed(
                self._settings.run.seed, training_step, condition_id=item.condition.condition_id, index=0
            )
            for item in conditions
        ]
        device = self._world_model.device
        noise = draw_group_noise(self._settings, conditions[0], seeds=seeds, training_step=training_step).to(
            device
        )
        first_latents = torch.stack([item.first_latents for item in conditions]).to(device)
        text = torch.stack([item.text for item in conditions]).to(device)

        def flow_velocity(latents: Tensor, sigma: float) -> Tensor:
            rows = len(latents) // len(conditions)
            return self._world_model.flow_velocity(
                latents, sigma, first_latents.repeat_interleave(rows, 0), text.repeat_interleave(rows, 0)
            )

        initial = noise.initial.clone()
        initial[:, :, :, : first_latents.shape[2]] = first_latents[:, None]
        sigmas = self._world_model.sigmas(sampling.num_steps)
        sampled = sample_groups(
            flow_velocity,
            replace(noise, initial=initial),
            sigmas=sigmas,
            kernel=sampling.kernel,
            noise_level=sampling.noise_level,
            free_frames=self._world_model.free_frames(initial[0]),
        )
        seconds = (time.perf_counter() - started) / len(conditions)
        return [
            RolloutGroup(
                condition=condition,
                training_step=training_step,
                seed=seed,
                adapter=version,
                sigmas=sigmas,
                trained_steps=tuple(step.to("cpu") for step in group.trained_steps),
                final_latents=group.final_latents.cpu(),
                generation_s=seconds,
            )
            for condition, seed, group in zip(conditions, seeds, sampled, strict=True)
        ]


def draw_group_noise(
    settings: AlignSettings, condition: EncodedCondition, *, seeds: Sequence[int], training_step: int
) -> GroupNoise:
    """The noise of one group per seed; generator and learner draw the same from the same seeds.

    Args:
        settings: of the run.
        condition: any of the batch; it fixes the size of the latents.
        seeds: one per group.
        training_step: moves the window of stochastic steps.
    """
    sampling = settings.sampling
    channels, _, height, width = condition.first_latents.shape
    return GroupNoise.draw(
        (channels, (condition.condition.num_frames - 1) // 4 + 1, height, width),
        settings.algorithm.group_size,
        seeds=seeds,
        stochastic_steps=chosen_steps(settings, training_step=training_step),
        shares_prefix=sampling.shares_prefix,
        antithetic=sampling.antithetic,
    )
