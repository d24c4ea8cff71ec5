"""Transition kernels: one denoising step as a Gaussian, x' = mean + std * noise.

Notation. A latent at noise level sigma is x = (1 - sigma) x0 + sigma eps, and the network predicts the flow
velocity dx/dsigma = eps - x0. Hence

    clean_estimate = x - sigma * flow_velocity          E[x0  | x]
    noise_estimate = x + (1 - sigma) * flow_velocity    E[eps | x]

`flow_sde`, `dance` and `wan` are one reverse-time SDE with three choices of its diffusion: they keep the
marginals of the deterministic sampler in the limit of many steps. `cps` does not; it keeps the coefficient of
the noise instead. With `noise_level` 0 every kernel is the deterministic Euler step.

`diffusion` (of the equation) and `std` (of one step) are two quantities: std = diffusion * sqrt(-dt).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Transition:
    """Distribution of the latents after one denoising step.

    Example:
        Transition(mean=float32[8, 48, 5, 6, 8], std=0.103)

    Attributes:
        mean: expected latents after the step.
        std: standard deviation of every entry; 0 where the step is deterministic.
        drops_variance: whether the published log-prob is the bare -(x' - mean)^2, as for `cps`.
    """

    mean: Float[Tensor, "*shape"]
    std: float
    drops_variance: bool = False


class Kernel(Protocol):
    """Predicts the transition of one denoising step; every row of KERNELS has this signature."""

    def __call__(
        self,
        latents: Float[Tensor, "*shape"],
        flow_velocity: Float[Tensor, "*shape"],
        *,
        sigma: float,
        sigma_next: float,
        sigma_second: float,
        noise_level: float,
    ) -> Transition:
        """Returns the transition from `latents` at `sigma` to `sigma_next`.

        Args:
            latents: state before the step, of any shape.
            flow_velocity: the network's output at that state.
            sigma: noise level before the step.
            sigma_next: noise level after the step, below `sigma`.
            sigma_second: second entry of the whole schedule (`sigma_max` in flow_grpo's code).
            noise_level: strength of the injected noise, in the kernel's own units.
        """
        ...


def flow_sde(
    latents: Float[Tensor, "*shape"],
    flow_velocity: Float[Tensor, "*shape"],
    *,
    sigma: float,
    sigma_next: float,
    sigma_second: float,
    noise_level: float,
) -> Transition:
    """Flow-GRPO's image kernel: diffusion = noise_level * sqrt(sigma / (1 - sigma)).

    At sigma = 1 the second entry of the schedule stands in the denominator. Published noise levels: 0.7
    (SD3), 0.8 (fast), 0.9 (Wan in Flow-Factory), 1.2 (MixGRPO in verl-omni).

    Source: arXiv 2505.05470; yifan123/flow_grpo sd3_sde_with_logprob.py.
    """
    sigma_below_one = sigma_second if sigma == 1 else sigma
    diffusion = noise_level * math.sqrt(sigma / (1 - sigma_below_one))
    return _reverse_sde(latents, flow_velocity, sigma=sigma, sigma_next=sigma_next, diffusion=diffusion)


def dance(
    latents: Float[Tensor, "*shape"],
    flow_velocity: Float[Tensor, "*shape"],
    *,
    sigma: float,
    sigma_next: float,
    sigma_second: float,
    noise_level: float,
) -> Transition:
    """DanceGRPO's kernel: the same diffusion, `noise_level` (their eta, 0.25 to 0.3), at every step.

    Source: arXiv 2505.07818; XueZeyue/DanceGRPO fastvideo/train_grpo_wan_2_1.py.
    """
    return _reverse_sde(latents, flow_velocity, sigma=sigma, sigma_next=sigma_next, diffusion=noise_level)


def wan(
    latents: Float[Tensor, "*shape"],
    flow_velocity: Float[Tensor, "*shape"],
    *,
    sigma: float,
    sigma_next: float,
    sigma_second: float,
    noise_level: float,
) -> Transition:
    """Flow-GRPO's Wan kernel, also EVA's: diffusion = noise_level * sigma_second * sigma.

    The published form interpolates from the last sigma, which is 0 here, to the second, and has no strength:
    it is `noise_level` 1. It is regular at sigma = 1.

    Source: yifan123/flow_grpo wan_pipeline_with_logprob.py.
    """
    diffusion = noise_level * sigma_second * sigma
    return _reverse_sde(latents, flow_velocity, sigma=sigma, sigma_next=sigma_next, diffusion=diffusion)


def cps(
    latents: Float[Tensor, "*shape"],
    flow_velocity: Float[Tensor, "*shape"],
    *,
    sigma: float,
    sigma_next: float,
    sigma_second: float,
    noise_level: float,
) -> Transition:
    """Coefficients-preserving sampling: predicted plus fresh noise has coefficient exactly sigma_next.

    Its noise is not tied to the step length, so it does not converge to the data distribution as steps are
    added: a sampler of its own. The published log-prob drops the variance, so its clip ranges do not transfer
    to the other kernels. `noise_level` is in [0, 1]; 0.8 is typical.

    Source: arXiv 2509.05952; yifan123/flow_grpo, sde_type "cps".
    """
    std = sigma_next * math.sin(noise_level * math.pi / 2)
    clean_estimate = latents - sigma * flow_velocity
    noise_estimate = latents + (1 - sigma) * flow_velocity
    mean = (1 - sigma_next) * clean_estimate + math.sqrt(sigma_next**2 - std**2) * noise_estimate
    return Transition(mean=mean, std=std, drops_variance=True)


def ode(
    latents: Float[Tensor, "*shape"],
    flow_velocity: Float[Tensor, "*shape"],
    *,
    sigma: float,
    sigma_next: float,
    sigma_second: float,
    noise_level: float,
) -> Transition:
    """The deterministic Euler step; no noise level changes it, and it has no log-prob."""
    return Transition(mean=latents + (sigma_next - sigma) * flow_velocity, std=0.0)


KERNELS: Mapping[str, Kernel] = {
    "flow_sde": flow_sde,
    "dance": dance,
    "wan": wan,
    "cps": cps,
    "ode": ode,
}


def step_transition(
    latents: Float[Tensor, "*shape"],
    flow_velocity: Float[Tensor, "*shape"],
    *,
    sigmas: Sequence[float],
    index: int,
    kernel: str,
    noise_level: float,
) -> Transition:
    """Returns the transition of one step of a schedule; sampler and learner both ask here.

    Args:
        latents: state before the step, of any shape.
        flow_velocity: the network's output at that state, of any floating type.
        sigmas: num_steps + 1 noise levels.
        index: denoising step, 0 = noisiest.
        kernel: a key of KERNELS.
        noise_level: strength of the injected noise, in the kernel's own units.
    """
    return KERNELS[kernel](
        latents,
        flow_velocity.to(latents.dtype),  # a bf16 network must not round the mean
        sigma=sigmas[index],
        sigma_next=sigmas[index + 1],
        sigma_second=sigmas[1],
        noise_level=noise_level,
    )


def _reverse_sde(
    latents: Float[Tensor, "*shape"],
    flow_velocity: Float[Tensor, "*shape"],
    *,
    sigma: float,
    sigma_next: float,
    diffusion: float,
) -> Transition:
    """Takes one Euler-Maruyama step of dx = [v + diffusion^2 / (2 sigma) eps^] dsigma + diffusion dw."""
    dt = sigma_next - sigma  # negative: noise falls
    noise_estimate = latents + (1 - sigma) * flow_velocity
    drift = flow_velocity + diffusion**2 / (2 * sigma) * noise_estimate
    return Transition(mean=latents + drift * dt, std=diffusion * math.sqrt(-dt))
