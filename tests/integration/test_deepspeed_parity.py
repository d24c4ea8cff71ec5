"""DeepSpeed's update equals plain torch AdamW, whatever the ZeRO stage and the number of ranks."""

from dataclasses import replace

import numpy as np
import pytest
import ray
import torch

from eva_rl.actors.anchor import anchor_loss
from eva_rl.actors.generator import Generator
from eva_rl.actors.learner import Learner, UnknownPolicyError
from eva_rl.actors.learning_rules import learning_rule
from eva_rl.actors.policy import open_policy
from eva_rl.records.calibration import Calibration
from eva_rl.rl.algorithms import ALGORITHMS
from eva_rl.world_model.adapter_io import read_adapter, write_adapter
from tests.adam_step import AdamStep, assert_same_step
from tests.running_ranks import group_of
from tests.tiny import tiny_settings

pytestmark = pytest.mark.integration

CALIBRATION = Calibration(penalty_scale=10.0)
WITHOUT_RATIO = {"nft", "raft", "direct"}
ADVANTAGES = torch.tensor([[1.0, -1.0, 0.5, -0.5], [-0.3, 0.3, 1.2, -1.2]])


class LearnerProcess(Learner):
    """One process that is a rank of several learners, one after the other: starting processes is slow."""

    def __init__(self):
        self.is_alive = True

    def become(self, settings, world_model_directory, idm_directory):
        Learner.__init__(self, settings, world_model_directory, idm_directory)


def plain_torch_update(settings, models, groups, *, advantages=ADVANTAGES):
    """One clipped AdamW step on the mean loss over groups, without DeepSpeed."""
    world_model = open_policy(settings, models.world_model)
    rule = learning_rule(settings, world_model, idm_directory=models.idm)
    rule.prepare(CALIBRATION)
    rule.begin_batch(behaviour=None)
    parameters = [weight for weight in world_model.transformer.parameters() if weight.requires_grad]
    learner = settings.learner
    optimizer = torch.optim.AdamW(parameters, lr=learner.learning_rate, betas=learner.betas, weight_decay=0.0)
    for pass_index in range(rule.num_passes):
        losses = rule.losses(groups, advantages, pass_index=pass_index, network=world_model.transformer)
        (torch.stack([loss.loss for loss in losses]).mean() / rule.num_passes).backward()
    torch.nn.utils.clip_grad_norm_(parameters, learner.max_grad_norm)
    optimizer.step()
    weights = read_adapter(world_model.transformer, 1)
    with torch.no_grad():  # the flat order of the gradient is that of the weights
        for parameter in parameters:
            parameter.copy_(torch.zeros_like(parameter) if parameter.grad is None else parameter.grad)
    return AdamStep(weights, read_adapter(world_model.transformer, 1).values)


def assert_unit_ratio(settings, update):
    """The policy that learns is the one that sampled; losses without a ratio report none."""
    if settings.algorithm.loss not in WITHOUT_RATIO:
        assert abs(update.metrics["learner/max_ratio_deviation"]) < 1e-5
    else:
        assert not {"learner/max_ratio_deviation", "learner/clip_fraction"} & update.metrics.keys()


def settings_for(loss, **overrides):
    """Tiny settings of an algorithm; those that learn from finished clips sample without noise."""
    if loss in ("clipped_ratio", "grpo_guard"):
        return tiny_settings(algorithm__loss=loss, **overrides)
    return tiny_settings(
        algorithm__loss=loss,
        algorithm__kl_form="velocity",
        algorithm__num_noise_draws=2,
        sampling__shares_prefix=False,
        sampling__antithetic=False,
        **overrides,
    )


@pytest.fixture(scope="module")
def groups(tiny_models, tiny_conditions):
    return Generator(tiny_settings(), tiny_models.world_model).generate(tiny_conditions[:2], 0)


@pytest.fixture(scope="module", params=[1, 2], ids=["one_rank", "two_ranks"])
def processes(request, local_ray):
    started = [ray.remote(LearnerProcess).options(num_cpus=0.1).remote() for _ in range(request.param)]
    yield started
    for process in started:
        ray.kill(process)


def start_learner(processes, settings, models):
    ray.get([process.become.remote(settings, models.world_model, models.idm) for process in processes])
    learner = group_of(processes)
    initial = learner.join()
    learner.prepare(CALIBRATION)
    return learner, initial


@pytest.mark.parametrize("zero_stage", [0, 1, 2, 3])
def test_deepspeed_equals_plain_adamw(processes, tiny_models, groups, zero_stage):
    settings = tiny_settings(learner__num_ranks=len(processes), learner__zero_stage=zero_stage)
    before = read_adapter(open_policy(settings, tiny_models.world_model).transformer, 0)
    expected = plain_torch_update(settings, tiny_models, groups)

    learner, initial = start_learner(processes, settings, tiny_models)
    assert initial.version == before.version
    update = learner.learn([ray.put(group) for group in groups], ADVANTAGES)

    assert np.abs(expected.weights.values - before.values).max() > 1e-3
    assert_same_step(update.weights.values, expected, learning_rate=settings.learner.learning_rate)


def test_a_group_of_an_unknown_policy_is_refused(processes, tiny_models, groups):
    settings = tiny_settings(learner__num_ranks=len(processes))
    stranger = replace(groups[0], adapter=replace(groups[0].adapter, content_hash="0" * 16))
    learner, _ = start_learner(processes, settings, tiny_models)
    with pytest.raises(UnknownPolicyError, match="0000000000000000"):
        learner.learn([ray.put(stranger), ray.put(stranger)], ADVANTAGES)


@pytest.mark.parametrize("loss", ALGORITHMS)
def test_every_algorithm_updates_as_in_plain_torch(processes, tiny_models, tiny_conditions, loss):
    settings = settings_for(loss, learner__num_ranks=len(processes))
    advantages = (ADVANTAGES > 0).float() if loss == "raft" else ADVANTAGES
    groups = Generator(settings, tiny_models.world_model).generate(tiny_conditions[:2], 0)
    before = read_adapter(open_policy(settings, tiny_models.world_model).transformer, 0)
    expected = plain_torch_update(settings, tiny_models, groups, advantages=advantages)

    learner, _ = start_learner(processes, settings, tiny_models)
    update = learner.learn([ray.put(group) for group in groups], advantages)

    assert np.abs(expected.weights.values - before.values).max() > 1e-3
    assert_same_step(update.weights.values, expected, learning_rate=settings.learner.learning_rate)
    assert update.metrics["learner/grad_norm"] > 0
    assert_unit_ratio(settings, update)


def test_an_anchor_pulls_towards_the_demonstrations(processes, tiny_models, tiny_conditions):
    settings = settings_for("nft", learner__num_ranks=len(processes), algorithm__anchor_weight=5.0)
    groups = Generator(settings, tiny_models.world_model).generate(tiny_conditions[:2], 0)
    world_model = open_policy(settings, tiny_models.world_model)

    def distance():
        losses = [
            anchor_loss(world_model, [group], pass_index=draw, network=world_model.transformer)
            for group in groups
            for draw in range(2)
        ]
        return float(torch.stack(losses).mean().detach())

    before = distance()
    learner, _ = start_learner(processes, settings, tiny_models)
    update = learner.learn([ray.put(group) for group in groups], torch.zeros(2, 4))
    write_adapter(world_model.transformer, update.weights)
    assert distance() < before


def test_an_anchor_without_demonstrations_is_refused(tiny_models, tiny_conditions):
    settings = settings_for("raft", algorithm__anchor_weight=1.0)
    bare = [replace(condition, demonstration=None) for condition in tiny_conditions[:1]]
    groups = Generator(settings, tiny_models.world_model).generate(bare, 0)
    world_model = open_policy(settings, tiny_models.world_model)
    with pytest.raises(ValueError, match="anchor_weight is above 0"):
        anchor_loss(world_model, groups, pass_index=0, network=world_model.transformer)
