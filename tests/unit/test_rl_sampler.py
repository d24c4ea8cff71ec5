import pickle
from itertools import pairwise

import pytest
import torch

from eva_rl.rl.kernels import KERNELS
from eva_rl.rl.sampler import GroupNoise, sample_groups
from eva_rl.rl.schedule import shifted_sigmas

NUM_STEPS, MEMBERS = 5, 4
SIGMAS = shifted_sigmas(NUM_STEPS, shift=3.0)
LATENT_SHAPE = (2, 3, 2, 2)
SEEDS = (11, 12, 13)
FREE = torch.tensor([False, True, True]).view(1, 1, 3, 1, 1)
STOCHASTIC_KERNELS = [kernel for kernel in KERNELS if kernel != "ode"]


class CountingNetwork:
    """A policy whose output mixes all frames, and which counts what it was asked for."""

    def __init__(self):
        self.rows = []

    def __call__(self, latents, sigma):
        self.rows.append(len(latents))
        return 0.7 * latents - 0.4 * latents.mean(dim=2, keepdim=True) + sigma


def draw(steps, *, shares_prefix, seeds=SEEDS, antithetic=False):
    return GroupNoise.draw(
        LATENT_SHAPE,
        MEMBERS,
        seeds=seeds,
        stochastic_steps=steps,
        shares_prefix=shares_prefix,
        antithetic=antithetic,
    )


def sample(noise, network=None, *, kernel="flow_sde", noise_level=0.4, free_frames=FREE):
    return sample_groups(
        network or CountingNetwork(),
        noise,
        sigmas=SIGMAS,
        kernel=kernel,
        noise_level=noise_level,
        free_frames=free_frames,
    )


@pytest.mark.parametrize("steps", [(), (0,), (2,), (1, 3), (0, 1, 2, 3)])
def test_a_shared_prefix_costs_one_evaluation_per_group_up_to_the_fork(steps):
    shared, unshared = CountingNetwork(), CountingNetwork()
    sample(draw(steps, shares_prefix=True), shared)
    sample(draw(steps, shares_prefix=False), unshared)
    fork = steps[0] if steps else NUM_STEPS
    groups = len(SEEDS)
    expected = [groups if step <= fork else groups * MEMBERS for step in range(NUM_STEPS)]
    assert shared.rows == expected
    assert unshared.rows == [groups * MEMBERS] * NUM_STEPS


@pytest.mark.parametrize("kernel", STOCHASTIC_KERNELS)
@pytest.mark.parametrize("steps", [(0,), (2,), (1, 3)])
def test_sharing_the_prefix_changes_nothing_but_the_cost(kernel, steps):
    shared = draw(steps, shares_prefix=True)
    unshared = GroupNoise(initial=shared.initial.repeat(1, MEMBERS, 1, 1, 1, 1), steps=shared.steps)
    for ours, theirs in zip(sample(shared, kernel=kernel), sample(unshared, kernel=kernel), strict=True):
        torch.testing.assert_close(ours.final_latents, theirs.final_latents, rtol=0, atol=1e-6)
        for step, other in zip(ours.trained_steps, theirs.trained_steps, strict=True):
            assert step.index == other.index
            torch.testing.assert_close(step.latents.expand_as(other.latents), other.latents)
            torch.testing.assert_close(step.next_latents, other.next_latents)
            torch.testing.assert_close(step.behaviour_log_probs, other.behaviour_log_probs)


def test_records_have_one_member_before_the_fork_and_all_members_after():
    (group, *_) = sample(draw((1, 3), shares_prefix=True))
    assert [step.index for step in group.trained_steps] == [1, 3]
    assert [len(step.latents) for step in group.trained_steps] == [1, MEMBERS]
    assert [len(step.next_latents) for step in group.trained_steps] == [MEMBERS, MEMBERS]
    assert group.final_latents.shape == (MEMBERS, *LATENT_SHAPE)


def test_any_group_can_be_sampled_again_alone():
    together = sample(draw((1,), shares_prefix=True, antithetic=True))
    (alone,) = sample(draw((1,), shares_prefix=True, antithetic=True, seeds=SEEDS[1:2]))
    torch.testing.assert_close(alone.final_latents, together[1].final_latents)


def test_without_stochastic_steps_sampling_is_the_euler_integration():
    noise = draw((), shares_prefix=True)
    latents = noise.initial[:, 0]
    for sigma, sigma_next in pairwise(SIGMAS):
        latents = latents + (sigma_next - sigma) * CountingNetwork()(latents, sigma)
    groups = sample(noise, free_frames=torch.ones_like(FREE))
    for group, expected in zip(groups, latents, strict=True):
        torch.testing.assert_close(group.final_latents, expected[None])
        assert group.trained_steps == ()


def test_given_frames_come_out_as_they_went_in():
    noise = draw((0, 2), shares_prefix=True)
    for initial, group in zip(noise.initial, sample(noise), strict=True):
        assert torch.equal(group.final_latents[:, :, :1], initial[:, :, :1].expand(MEMBERS, -1, -1, -1, -1))
        assert not torch.isclose(group.final_latents[:, :, 1:], initial[:, :, 1:]).any()


def test_members_differ_only_through_the_noise_of_the_steps():
    noise = draw((1,), shares_prefix=True)
    silent = GroupNoise(initial=noise.initial, steps={1: torch.zeros_like(noise.steps[1])})
    (group, *_) = sample(silent)
    assert torch.equal(group.final_latents, group.final_latents[:1].expand_as(group.final_latents))
    (group, *_) = sample(noise)
    assert group.final_latents.std(dim=0).max() > 0.01


def test_the_record_of_one_group_does_not_carry_the_others():
    one, many = (
        sample(draw((1,), shares_prefix=True, seeds=range(num_groups)))[0].trained_steps[0]
        for num_groups in (1, 50)
    )
    assert len(pickle.dumps(many)) == len(pickle.dumps(one))


def test_sampling_builds_no_graph():
    scale = torch.ones(1, requires_grad=True)
    (group, *_) = sample(draw((1,), shares_prefix=True), lambda latents, sigma: scale * latents)
    assert not group.final_latents.requires_grad
    assert not group.trained_steps[0].behaviour_log_probs.requires_grad


@pytest.mark.parametrize("step", [NUM_STEPS - 1, NUM_STEPS, -1])
def test_noise_on_the_last_step_or_outside_the_schedule_is_refused(step):
    with pytest.raises(ValueError, match=r"Stochastic steps must be in \[0, 4\)"):
        sample(draw((step,), shares_prefix=True))


def test_rounded_latents_are_refused():
    noise = draw((1,), shares_prefix=True)
    with pytest.raises(TypeError, match=r"must be float32 or float64, got torch\.bfloat16"):
        sample(GroupNoise(initial=noise.initial.bfloat16(), steps=noise.steps))
