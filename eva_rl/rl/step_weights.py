"""How much each denoising step counts in the policy loss."""

import math
from collections.abc import Mapping
from typing import Protocol


class StepWeight(Protocol):
    """Weighs one denoising step; every row of STEP_WEIGHTS has this signature."""

    def __call__(self, sigma: float, sigma_next: float, *, diffusion: float) -> float:
        """Returns a positive factor on the step's policy loss; the KL term keeps its own weight.

        Args:
            sigma: noise level before the step.
            sigma_next: noise level after the step.
            diffusion: standard deviation of the transition divided by sqrt(sigma - sigma_next).
        """
        ...


def uniform(sigma: float, sigma_next: float, *, diffusion: float) -> float:
    """Weighs all steps alike, by 1: plain GRPO, and EVA."""
    return 1.0


def diffusion_per_root_dt(sigma: float, sigma_next: float, *, diffusion: float) -> float:
    """Weighs by diffusion / sqrt(-dt), as flow_grpo's Wan trainer does since commit 32b48fd.

    GenRL's "longcat" is the same for `flow_sde` at its noise level of 1.
    """
    return diffusion / math.sqrt(sigma - sigma_next)


def inverse_dt(sigma: float, sigma_next: float, *, diffusion: float) -> float:
    """Weighs by 1 / (-dt): verl-omni's companion of GRPO-Guard, whose ratio shrinks with the step."""
    return 1 / (sigma - sigma_next)


def inverse_sensitivity(sigma: float, sigma_next: float, *, diffusion: float) -> float:
    """Weighs by 1 / ( sqrt(-dt)/diffusion + diffusion sqrt(-dt) (1 - sigma) / (2 sigma) ): Flash-GRPO.

    The bracket is |d mean / d flow_velocity| / std, the response of the log-prob to the network's output per
    unit of noise; the weight makes all steps respond alike. Source: arXiv 2605.15980.
    """
    root_dt = math.sqrt(sigma - sigma_next)
    return 1 / (root_dt / diffusion + diffusion * root_dt * (1 - sigma) / (2 * sigma))


STEP_WEIGHTS: Mapping[str, StepWeight] = {
    "uniform": uniform,
    "diffusion_per_root_dt": diffusion_per_root_dt,
    "inverse_dt": inverse_dt,
    "inverse_sensitivity": inverse_sensitivity,
}
