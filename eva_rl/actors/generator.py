"""The generator: conditions in, groups of rollouts out."""

import time
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from eva_rl.actors.conditioned_velocity import conditioned_velocity
from eva_rl.actors.policy import chosen_steps, kept_step, noise_level, open_policy
from eva_rl.config.align import AlignSettings
from eva_rl.records.adapter import AdapterVersion, AdapterWeights
from eva_rl.records.condition import EncodedCondition
from eva_rl.records.rollout import GenerationReceipt, RolloutGroup
from eva_rl.rl.sampler import GroupNoise, sample_groups
from eva_rl.rl.seeds import rollout_seed
from eva_rl.world_model.adapter_io import write_adapter
from eva_rl.world_model.lora import live_version
from eva_rl.world_model.merging import MergedAdapter


class Generator:
    """Samples rollouts of the current policy. A plain class: Ray wraps it once, in `pool.py`.

    Consumes encoded conditions and the adapter to sample with; waits for nothing; produces rollout groups
    that name the adapter which is really in the network.
    """

    def __init__(self, settings: AlignSettings, world_model_directory: str) -> None:
        torch.set_num_threads(settings.generators.num_threads)
        self._settings = settings
        self._world_model = open_policy(settings, world_model_directory)
        self._merged = MergedAdapter(self._world_model.transformer) if merges_adapter(settings) else None
        self._training_step = 0

    def write_adapter(self, weights: AdapterWeights) -> AdapterVersion:
        """Replaces the adapter; returns its version with the hash of the live weights."""
        write_adapter(self._world_model.transformer, weights)
        if self._merged is not None:
            self._merged.refresh()
        self._training_step = weights.version.training_step
        return self.version()

    def version(self) -> AdapterVersion:
        """The adapter that is really in the network: its hash is computed anew from the live weights."""
        return live_version(self._world_model.transformer, self._training_step)

    def fulfil(
        self, conditions: Sequence[EncodedCondition], training_step: int, weights: AdapterWeights
    ) -> tuple[GenerationReceipt | RolloutGroup, ...]:
        """Samples with the given adapter; the call that brings the work brings the policy too.

        So there is no push that could be lost: a generator that was replaced, or joined late, samples with
        the right adapter from its first rollout on.

        Returns:
            A receipt, then one group per condition.
        """
        num_bytes = 0
        if self.version() != weights.version:
            self.write_adapter(weights)
            num_bytes = weights.values.nbytes
        groups = self.generate(conditions, training_step)
        return GenerationReceipt(adapter=groups[0].adapter, num_adapter_bytes=num_bytes), *groups

    def generate_group(self, condition: EncodedCondition, training_step: int) -> RolloutGroup:
        """Samples the group of one condition."""
        return self.generate([condition], training_step)[0]

    def generate(self, conditions: Sequence[EncodedCondition], training_step: int) -> list[RolloutGroup]:
        """Samples one group per condition, all in the same forward passes.

        Args:
            conditions: of the same clip size.
            training_step: batch that the groups belong to; seeds noise and window.
        """
        started, started_cpu = time.perf_counter(), time.process_time()
        sampling, version = self._settings.sampling, self.version()
        seeds = [
            rollout_seed(
                self._settings.run.seed, training_step, condition_id=item.condition.condition_id, index=0
            )
            for item in conditions
        ]
        noise = draw_group_noise(self._settings, conditions[0], seeds=seeds, training_step=training_step).to(
            self._world_model.device
        )
        given_latents = torch.stack([item.tensors.given_latents for item in conditions]).to(noise.initial)
        initial = noise.initial.clone()
        initial[:, :, :, : given_latents.shape[2]] = given_latents[:, None]

        def flow_velocity(latents: Tensor, sigma: float) -> Tensor:
            return conditioned_velocity(
                self._world_model,
                conditions,
                latents,
                sigma,
                rows_per_condition=[len(latents) // len(conditions)] * len(conditions),
                sampling=sampling,
            )

        sigmas = self._world_model.sigmas(sampling.num_steps)
        free_frames = self._world_model.free_frames(initial[0])
        sampled = sample_groups(
            flow_velocity,
            replace(noise, initial=initial),
            sigmas=sigmas,
            kernel=sampling.kernel,
            noise_level=noise_level(self._settings, training_step=training_step),
            free_frames=free_frames,
            counted_frames=torch.ones_like(free_frames) if sampling.counts_given_frames else free_frames,
            keep_step=kept_step(self._settings),
        )
        wall_s = (time.perf_counter() - started) / len(conditions)
        cpu_s = (time.process_time() - started_cpu) / len(conditions)
        return [
            RolloutGroup(
                condition=condition,
                training_step=training_step,
                seed=seed,
                adapter=version,
                sigmas=sigmas,
                trained_steps=tuple(step.to("cpu") for step in group.trained_steps),
                final_latents=group.final_latents.cpu(),
                kept=None if group.kept is None else group.kept.to("cpu"),
                generation_s=wall_s,
                generation_cpu_s=cpu_s,
            )
            for condition, seed, group in zip(conditions, seeds, sampled, strict=True)
        ]


def merges_adapter(settings: AlignSettings) -> bool:
    """Whether generators sample with the adapter merged into the weights."""
    wanted = settings.generators.merges_adapter
    return settings.world_model.precision == "float32" if wanted is None else wanted


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
