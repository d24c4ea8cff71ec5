"""The Gaussian toy: data N(mean, std^2) in one dimension, where the best flow velocity is known exactly."""

from itertools import pairwise

import pytest
import torch

from eva_rl.rl.advantages import group_advantages
from eva_rl.rl.kernels import KERNELS
from eva_rl.rl.objective import Objective
from eva_rl.rl.replay import replay_step
from eva_rl.rl.sampler import GroupNoise, sample_groups
from eva_rl.rl.schedule import shifted_sigmas
from eva_rl.rl.seeds import rollout_seed

MEAN, STD = 0.7, 0.4
FREE = torch.ones(1, 1, 1, 1, 1, dtype=torch.bool)


def exact_flow_velocity(latents, sigma, mean=MEAN):
    """E[eps - x0 | x] for x = (1 - sigma) x0 + sigma eps and x0 ~ N(mean, STD^2)."""
    variance = (1 - sigma) ** 2 * STD**2 + sigma**2
    offset = latents - (1 - sigma) * mean
    clean_estimate = mean + (1 - sigma) * STD**2 * offset / variance
    return sigma * offset / variance - clean_estimate


def integrate(kernel, noise_level, *, num_steps, num_samples=50_000):
    """Walks every step of the schedule with the kernel, the last one too."""
    sigmas = shifted_sigmas(num_steps, shift=3.0)
    generator = torch.Generator().manual_seed(0)
    half = torch.randn(num_samples // 2, generator=generator)
    latents = torch.cat((half, -half))
    for sigma, sigma_next in pairwise(sigmas):
        transition = KERNELS[kernel](
            latents,
            exact_flow_velocity(latents, sigma),
            sigma=sigma,
            sigma_next=sigma_next,
            sigma_second=sigmas[1],
            noise_level=noise_level,
        )
        half = torch.randn(num_samples // 2, generator=generator)
        latents = transition.mean + transition.std * torch.cat((half, -half))
    return latents


@pytest.mark.parametrize(
    ("kernel", "noise_level"), [("flow_sde", 0.7), ("dance", 0.3), ("wan", 1.0), ("ode", 0.0)]
)
def test_with_many_steps_the_gaussian_marginal_is_kept(kernel, noise_level):
    final = integrate(kernel, noise_level, num_steps=1000)
    assert final.mean().item() == pytest.approx(MEAN, rel=0.01)
    assert final.std().item() == pytest.approx(STD, rel=0.01)


def test_with_many_steps_cps_keeps_the_mean_and_loses_spread():
    final = integrate("cps", 0.8, num_steps=1000)
    assert final.mean().item() == pytest.approx(MEAN, rel=0.01)
    assert final.std().item() == pytest.approx(0.320, rel=0.01)


@pytest.mark.parametrize(
    ("kernel", "noise_level", "std"),
    [
        ("ode", 0.0, 0.367),
        ("flow_sde", 0.7, 0.380),
        ("dance", 0.3, 0.372),
        ("wan", 1.0, 0.372),
        ("cps", 0.8, 0.293),
    ],
)
def test_forty_steps_lose_spread_by_discretisation(kernel, noise_level, std):
    assert integrate(kernel, noise_level, num_steps=40).std().item() == pytest.approx(std, abs=0.003)


def test_the_sampler_draws_from_the_toy_distribution():
    noise = GroupNoise.draw(
        (1, 1, 1, 1), 4000, seeds=(0, 1), stochastic_steps=range(39), shares_prefix=False, antithetic=True
    )
    groups = sample_groups(
        exact_flow_velocity,
        noise,
        sigmas=shifted_sigmas(40, shift=3.0),
        kernel="flow_sde",
        noise_level=0.7,
        free_frames=FREE,
    )
    for group in groups:
        assert group.final_latents.mean().item() == pytest.approx(MEAN, abs=0.02)
        assert group.final_latents.std().item() == pytest.approx(0.380, abs=0.015)


def align(objective, *, shares_prefix=True, stochastic_steps=(1,), target=1.5):
    """Moves the mean of the policy's Gaussian by policy gradient on the reward -(x - target)^2."""
    mean = torch.full((1, 1, 1, 1, 1), MEAN, requires_grad=True)
    optimiser = torch.optim.Adam([mean], lr=0.04)
    sigmas = shifted_sigmas(3, shift=3.0)
    for training_step in range(80):
        noise = GroupNoise.draw(
            (1, 1, 1, 1),
            32,
            seeds=(rollout_seed(0, training_step, condition_id="toy", index=0),),
            stochastic_steps=stochastic_steps,
            shares_prefix=shares_prefix,
            antithetic=True,
        )
        (group,) = sample_groups(
            lambda latents, sigma: exact_flow_velocity(latents, sigma, mean),
            noise,
            sigmas=sigmas,
            kernel=objective.kernel,
            noise_level=objective.noise_level,
            free_frames=FREE,
        )
        rewards = -((group.final_latents.view(1, -1) - target) ** 2)
        advantages = group_advantages(rewards, torch.ones(1, 32, dtype=torch.bool), std="group", clip=5.0)
        optimiser.zero_grad()
        for step in group.trained_steps:
            sigma = sigmas[step.index]
            loss = replay_step(
                step,
                exact_flow_velocity(step.latents, sigma, mean),
                reference_flow_velocity=exact_flow_velocity(step.latents, sigma),
                advantages=advantages.values[0],
                sigmas=sigmas,
                objective=objective,
                free_frames=FREE,
                step_noise=noise.steps[step.index][0],
            )
            loss.loss.backward()
        optimiser.step()
    return mean.item()


def objective(**changes):
    settings = {
        "kernel": "flow_sde",
        "noise_level": 0.3,
        "loss": "clipped_ratio",
        "ratio_clip": 1e-3,
        "kl_form": "velocity",
        "kl_beta": 0.0,
    }
    return Objective(**(settings | changes))


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"kernel": "dance"},
        {"kernel": "wan", "noise_level": 1.0},
        {"kernel": "cps", "noise_level": 0.5},
        {"loss": "grpo_guard", "step_weight": "inverse_dt"},
        {"step_weight": "inverse_sensitivity"},
    ],
)
def test_the_loss_moves_the_policy_to_the_optimum(changes):
    assert align(objective(**changes)) == pytest.approx(1.5, abs=0.12)


def test_all_steps_without_a_shared_prefix_move_the_policy_as_well():
    mean = align(objective(), shares_prefix=False, stochastic_steps=(0, 1))
    assert mean == pytest.approx(1.5, abs=0.12)


def test_kl_holds_the_policy_near_the_reference():
    held = align(objective(kl_beta=100.0))
    assert abs(held - MEAN) < 0.1
