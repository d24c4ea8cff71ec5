"""Direct reward backpropagation on real models: rollouts of several groups share one pass."""

from dataclasses import replace

import pytest
import torch

from eva_rl.actors.generator import Generator
from eva_rl.actors.learning_rules import learning_rule
from eva_rl.actors.policy import open_policy
from eva_rl.records.calibration import Calibration
from tests.tiny import tiny_settings

SETTINGS = {
    "algorithm__loss": "direct",
    "algorithm__kl_form": "velocity",
    "algorithm__kl_beta": 0.5,
    "sampling__shares_prefix": False,
    "sampling__antithetic": False,
}
NOTHING = {"jerk": 0.0, "acceleration": 0.0, "velocity_limit": 0.0, "acceleration_limit": 0.0}
UNUSED = torch.zeros(2, 4)  # advantages


@pytest.fixture(scope="module")
def groups(tiny_models, tiny_conditions):
    return Generator(tiny_settings(**SETTINGS), tiny_models.world_model).generate(tiny_conditions[:2], 0)


@pytest.fixture(scope="module")
def learner(tiny_models):
    """A rule and its network, with an adapter that is no longer the reference."""
    settings = tiny_settings(**SETTINGS)
    world_model = open_policy(settings, tiny_models.world_model)
    rule = learning_rule(settings, world_model, idm_directory=tiny_models.idm)
    rule.prepare(Calibration(penalty_scale=10.0))
    torch.manual_seed(0)
    for weight in trained(world_model.transformer):
        weight.data += 0.1 * torch.randn_like(weight)
    return rule, world_model.transformer


def trained(network):
    return [weight for weight in network.parameters() if weight.requires_grad]


def losses_and_gradients(learner, parts):
    rule, network = learner
    losses = [loss for part in parts for loss in rule.losses(part, UNUSED, pass_index=0, network=network)]
    gradients = torch.autograd.grad(torch.stack([loss.loss for loss in losses]).sum(), trained(network))
    return losses, gradients


def test_groups_in_one_pass_lose_what_each_loses_alone_and_pull_the_same_way(learner, groups):
    together, gradient = losses_and_gradients(learner, [groups])
    alone, expected = losses_and_gradients(learner, [[group] for group in groups])
    for one, other in zip(together, alone, strict=True):
        torch.testing.assert_close(one.loss, other.loss)
        torch.testing.assert_close(one.kl, other.kl)
    assert together[0].loss != together[1].loss
    assert together[0].kl > 0
    torch.testing.assert_close(gradient, expected)
    assert any(part.abs().max() > 0 for part in gradient)


def test_grippers_have_a_gradient_only_where_the_learner_reads_them_softly(tiny_models, groups):
    """With a reward of the grippers' limits alone, which a threshold decides, nothing else could pull."""
    pulls = {}
    for weight in (0.0, 5.0):
        words = {**SETTINGS, "algorithm__soft_gripper_weight": weight, "algorithm__kl_beta": 0.0}
        settings = tiny_settings(**words, reward__term_weights=NOTHING | {"gripper_chatter": 5.0})
        world_model = open_policy(settings, tiny_models.world_model)
        rule = learning_rule(settings, world_model, idm_directory=tiny_models.idm)
        rule.prepare(Calibration(penalty_scale=1.0))
        network = world_model.transformer
        loss = sum(one.loss for one in rule.losses(groups, UNUSED, pass_index=0, network=network))
        pulls[weight] = (
            torch.autograd.grad(loss, trained(network), allow_unused=True) if loss.requires_grad else ()
        )
    assert not any(part is not None and part.abs().max() > 0 for part in pulls[0.0])
    assert any(part is not None and part.abs().max() > 0 for part in pulls[5.0])


def test_rollouts_without_a_kept_state_are_refused_by_name(learner, groups):
    rule, network = learner
    with pytest.raises(ValueError, match=r"task/episode1 keep no latents to restart from"):
        rule.losses([groups[0], replace(groups[1], kept=None)], UNUSED, pass_index=0, network=network)
