"""Generated videos with all that is needed to learn from them."""

import hashlib
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from eva_rl.records.adapter import AdapterVersion
from eva_rl.records.condition import EncodedCondition


@dataclass(frozen=True, kw_only=True)
class TrainedStep:
    """One stochastic denoising step of a group, kept for replay.

    Attributes:
        index: denoising step along the sigma schedule, 0 = noisiest.
        latents: state before the step. A leading axis of 1 says that the whole group shares it
            (a shared deterministic prefix), so that one network evaluation serves all members.
        next_latents: state after the step, as it was sampled. Frames that count in the loss although they are
            given keep their noise here; the rollout itself went on with the given values.
        behaviour_log_probs: log density of the step under the policy that sampled it, at every latent site,
            averaged over its channels; which sites count is the learner's choice.
    """

    index: int
    latents: Float[Tensor, "members_or_1 channels frames height width"]
    next_latents: Float[Tensor, "members channels frames height width"]
    behaviour_log_probs: Float[Tensor, "members 1 frames height width"]

    def to(self, device: torch.device | str) -> "TrainedStep":
        """The same step on another device; records travel between processes on the CPU."""
        return TrainedStep(
            index=self.index,
            latents=self.latents.to(device),
            next_latents=self.next_latents.to(device),
            behaviour_log_probs=self.behaviour_log_probs.to(device),
        )


@dataclass(frozen=True, kw_only=True)
class KeptLatents:
    """State of a group's rollouts before one denoising step, kept to walk the rest again with gradient.

    Example:
        KeptLatents(index=2, latents=float32[8, 48, 5, 6, 8])

    Attributes:
        index: denoising step that comes next, 0 = noisiest.
        latents: state before it; a leading axis of 1 says that the whole group shares it.
    """

    index: int
    latents: Float[Tensor, "members_or_1 channels frames height width"]

    def to(self, device: torch.device | str) -> "KeptLatents":
        """The same state on another device."""
        return KeptLatents(index=self.index, latents=self.latents.to(device))


@dataclass(frozen=True, kw_only=True)
class RolloutGroup:
    """The `group_size` rollouts of one condition.

    Example:
        RolloutGroup(condition=EncodedCondition(...), training_step=7, seed=902374,
                     adapter=AdapterVersion(training_step=7, content_hash="9f86d081884c7d65"),
                     sigmas=(1.0, 0.857, 0.6, 0.0), trained_steps=(TrainedStep(index=1, ...),),
                     final_latents=float32[8, 48, 5, 6, 8], generation_s=0.31)

    Attributes:
        condition: what the group was generated from, encoded as the network saw it.
        training_step: index of the training batch that the group belongs to.
        seed: regenerates the group's noise alone, from run seed, training step and condition.
        adapter: version and content hash read from the generator's live weights.
        sigmas: num_steps + 1 noise levels, from 1 to 0.
        final_latents: clean latents, first frame re-imposed.
        generation_s: seconds the generator spent on the group.
        generation_cpu_s: the same in CPU-seconds of its process, which other load does not stretch.
        kept: state that direct reward backpropagation restarts from; None for every other algorithm.
    """

    condition: EncodedCondition
    training_step: int
    seed: int
    adapter: AdapterVersion
    sigmas: tuple[float, ...]
    trained_steps: tuple[TrainedStep, ...]
    final_latents: Float[Tensor, "members channels frames height width"]
    generation_s: float
    generation_cpu_s: float = 0.0
    kept: KeptLatents | None = None

    @property
    def condition_id(self) -> str:
        """Identity of the condition."""
        return self.condition.condition.condition_id

    def latent_hashes(self) -> tuple[str, ...]:
        """First 16 hex digits of the SHA-256 of every member's final latents, as float32."""
        members = self.final_latents.detach().float().cpu().contiguous().numpy()
        return tuple(hashlib.sha256(member.tobytes()).hexdigest()[:16] for member in members)


@dataclass(frozen=True, kw_only=True)
class GenerationReceipt:
    """What the driver learns of a generator's call; the rollouts themselves never pass through it.

    Example:
        GenerationReceipt(adapter=AdapterVersion(training_step=7, content_hash="9f86d081884c7d65"),
                          num_adapter_bytes=1789952)

    Attributes:
        adapter: read from the generator's live weights.
        num_adapter_bytes: copied into the generator for this call; 0 if it had the adapter already.
    """

    adapter: AdapterVersion
    num_adapter_bytes: int
