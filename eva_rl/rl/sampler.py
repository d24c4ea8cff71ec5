"""Rollouts from a flow model: deterministic steps, with noise at the steps that are trained.

A group may share its initial noise. Then all its members are one and the same until the first stochastic
step, so the sampler carries them as a member axis of 1 and lets the step's noise fork them: adding noise
[groups, members, ...] to a mean [groups, 1, ...] is the fork. The network sees the prefix and the fork itself
once per group instead of once per member, in the rollout and again in the replay.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from eva_rl.records.rollout import TrainedStep
from eva_rl.rl.kernels import Transition, step_transition
from eva_rl.rl.log_prob import transition_log_prob
from eva_rl.rl.schedule import check_sigmas
from eva_rl.rl.seeds import draw_noise, group_noise, noise_seed

FlowVelocityFn = Callable[[Tensor, float], Tensor]
"""(latents [rows, channels, frames, height, width], sigma) -> flow velocity of the same shape.

Rows are group-major: with `rows // groups` rows per group, those of one group are neighbours.
"""


@dataclass(frozen=True, kw_only=True)
class GroupNoise:
    """All randomness of a batch of rollout groups; a step is stochastic if and only if it has noise here.

    Example:
        GroupNoise(initial=float32[8, 1, 48, 5, 6, 8], steps={1: float32[8, 16, 48, 5, 6, 8]})

    Attributes:
        initial: latents at the first sigma; a member axis of 1 says that each group shares them.
        steps: noise of every stochastic denoising step.
    """

    initial: Float[Tensor, "groups members_or_1 channels frames height width"]
    steps: Mapping[int, Float[Tensor, "groups members channels frames height width"]]

    def to(self, device: torch.device | str) -> "GroupNoise":
        """The same noise on another device; it is always drawn on the CPU."""
        steps = {index: noise.to(device) for index, noise in self.steps.items()}
        return GroupNoise(initial=self.initial.to(device), steps=steps)

    @classmethod
    def draw(
        cls,
        latent_shape: Sequence[int],
        members: int,
        *,
        seeds: Sequence[int],
        stochastic_steps: Sequence[int],
        shares_prefix: bool,
        antithetic: bool,
    ) -> "GroupNoise":
        """Draws the noise of several groups, each from its own seed alone, on the CPU.

        Args:
            latent_shape: (channels, frames, height, width) of one rollout.
            members: number of rollouts per group.
            seeds: one per group, as returned by `rollout_seed`.
            stochastic_steps: denoising steps that get noise.
            shares_prefix: whether the members of a group start from one initial noise.
            antithetic: whether the noise of the steps comes in pairs of opposite sign.
        """
        num_starts = 1 if shares_prefix else members
        initial = [
            draw_noise((num_starts, *latent_shape), seed=noise_seed(seed, denoising_step=None))
            for seed in seeds
        ]
        steps = {
            index: torch.stack(
                [
                    group_noise(
                        latent_shape,
                        members,
                        seed=noise_seed(seed, denoising_step=index),
                        antithetic=antithetic,
                    )
                    for seed in seeds
                ]
            )
            for index in stochastic_steps
        }
        return cls(initial=torch.stack(initial), steps=steps)


@dataclass(frozen=True, kw_only=True)
class SampledGroup:
    """What the sampler returns for one group.

    Example:
        SampledGroup(final_latents=float32[16, 48, 5, 6, 8], trained_steps=(TrainedStep(index=1, ...),))

    Attributes:
        final_latents: clean latents; a member axis of 1 if nothing was stochastic and the start was shared.
        trained_steps: the stochastic steps in rising order.
    """

    final_latents: Float[Tensor, "members channels frames height width"]
    trained_steps: tuple[TrainedStep, ...]


@torch.no_grad()
def sample_groups(
    flow_velocity_fn: FlowVelocityFn,
    noise: GroupNoise,
    *,
    sigmas: Sequence[float],
    kernel: str,
    noise_level: float,
    free_frames: Bool[Tensor, "1 1 frames 1 1"],
) -> tuple[SampledGroup, ...]:
    """Samples several rollout groups together, one network call per denoising step.

    Frames that are not free keep their initial value through every step: impose the given first frame on
    `noise.initial` and it comes out clean.

    Args:
        flow_velocity_fn: the policy's network, conditions included.
        noise: all randomness; on the network's device.
        sigmas: num_steps + 1 noise levels.
        kernel: row of KERNELS for the stochastic steps; all others are Euler steps.
        noise_level: strength of the stochastic steps, in the kernel's own units.
        free_frames: False on the latent frames that are given.

    Returns:
        One sampled group per entry of the group axis, in order.

    Raises:
        ValueError: if the schedule is not one, or if a stochastic step is its last or outside it.
        TypeError: if the latents are rounded below float32.
    """
    check_sigmas(sigmas)
    _check_noise(noise, num_steps=len(sigmas) - 1)
    latents = noise.initial
    trained_steps: list[list[TrainedStep]] = [[] for _ in latents]
    for index, sigma in enumerate(sigmas[:-1]):
        flow_velocity = flow_velocity_fn(latents.flatten(0, 1), sigma).unflatten(0, latents.shape[:2])
        transition = step_transition(
            latents,
            flow_velocity,
            sigmas=sigmas,
            index=index,
            kernel=kernel if index in noise.steps else "ode",
            noise_level=noise_level,
        )
        next_latents = transition.mean
        if index in noise.steps:
            next_latents = next_latents + transition.std * noise.steps[index]  # forks a shared prefix
        next_latents = torch.where(free_frames, next_latents, latents)
        if index in noise.steps:
            for group, steps in enumerate(trained_steps):
                steps.append(
                    _trained_step(index, latents, next_latents, transition, free_frames, group=group)
                )
        latents = next_latents
    return tuple(
        SampledGroup(final_latents=final.clone(), trained_steps=tuple(steps))
        for final, steps in zip(latents, trained_steps, strict=True)
    )


def _trained_step(
    index: int,
    latents: Float[Tensor, "groups members_or_1 channels frames height width"],
    next_latents: Float[Tensor, "groups members channels frames height width"],
    transition: Transition,
    free_frames: Bool[Tensor, "1 1 frames 1 1"],
    *,
    group: int,
) -> TrainedStep:
    """Cuts one group's step out of the batch, with its log-prob formed exactly as the learner will."""
    group_transition = replace(transition, mean=transition.mean[group])
    return TrainedStep(
        index=index,
        latents=latents[group].clone(),  # a view would be pickled with all groups behind it
        next_latents=next_latents[group].clone(),
        behaviour_log_probs=transition_log_prob(
            next_latents[group], group_transition, free_frames=free_frames
        ),
    )


def _check_noise(noise: GroupNoise, *, num_steps: int) -> None:
    if noise.initial.dtype not in (torch.float32, torch.float64):
        raise TypeError(
            f"Initial noise must be float32 or float64, got {noise.initial.dtype}: the log-prob of rounded "
            f"latents does not replay. Let flow_velocity_fn cast for a network of lower precision."
        )
    misplaced = sorted(index for index in noise.steps if not 0 <= index < num_steps - 1)
    if misplaced:
        raise ValueError(
            f"Stochastic steps must be in [0, {num_steps - 1}) for {num_steps} denoising steps, got "
            f"{misplaced}: noise of the last step would stay in the video."
        )
