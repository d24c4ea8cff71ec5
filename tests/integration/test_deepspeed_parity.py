"""DeepSpeed's update equals plain torch AdamW, whatever the ZeRO stage and the number of ranks."""

import numpy as np
import pytest
import ray
import torch
from tests.integration.conftest import tiny_settings

from eva_rl.actors.generator import Generator
from eva_rl.actors.learner import Learner
from eva_rl.actors.learner_group import LearnerGroup
from eva_rl.actors.policy import objective, open_policy
from eva_rl.actors.replay import replay_groups
from eva_rl.world_model.adapter_io import read_adapter

pytestmark = pytest.mark.integration

ADVANTAGES = torch.tensor([[1.0, -1.0, 0.5, -0.5], [-0.3, 0.3, 1.2, -1.2]])


def plain_torch_update(settings, world_model_directory, groups):
    """One clipped AdamW step on the mean loss over groups, without DeepSpeed."""
    world_model = open_policy(settings, world_model_directory)
    parameters = [weight for weight in world_model.transformer.parameters() if weight.requires_grad]
    learner = settings.learner
    optimizer = torch.optim.AdamW(parameters, lr=learner.learning_rate, betas=learner.betas, weight_decay=0.0)
    losses = replay_groups(
        world_model,
        groups,
        ADVANTAGES,
        position=0,
        objective=objective(settings),
        network=world_model.transformer,
        draw_step_noise=lambda group, step: None,
    )
    torch.stack([loss.loss for loss in losses]).mean().backward()
    torch.nn.utils.clip_grad_norm_(parameters, learner.max_grad_norm)
    optimizer.step()
    return read_adapter(world_model.transformer, 1)


@pytest.fixture(scope="module")
def groups(tiny_models, tiny_conditions):
    return Generator(tiny_settings(), tiny_models.world_model).generate(tiny_conditions[:2], 0)


@pytest.mark.parametrize("num_ranks", [1, 2])
@pytest.mark.parametrize("zero_stage", [0, 1, 2, 3])
def test_deepspeed_equals_plain_adamw(local_ray, tiny_models, groups, num_ranks, zero_stage):
    settings = tiny_settings(learner__num_ranks=num_ranks, learner__zero_stage=zero_stage)
    expected = plain_torch_update(settings, tiny_models.world_model, groups)
    before = read_adapter(open_policy(settings, tiny_models.world_model).transformer, 0)

    ranks = [ray.remote(Learner).options(num_cpus=0.1).remote(settings, tiny_models.world_model) for _ in range(num_ranks)]
    try:
        group = LearnerGroup(ranks)
        assert group.join().version == before.version
        update = group.learn([ray.put(item) for item in groups], ADVANTAGES)
    finally:
        for rank in ranks:
            ray.kill(rank)
    assert np.abs(expected.values - before.values).max() > 1e-3
    np.testing.assert_allclose(update.weights.values, expected.values, atol=2e-6)


def test_a_group_of_an_unknown_policy_is_refused(local_ray, tiny_models, groups):
    from dataclasses import replace

    from eva_rl.actors.learner import UnknownPolicyError

    stranger = replace(groups[0], adapter=replace(groups[0].adapter, content_hash="0" * 16))
    rank = ray.remote(Learner).options(num_cpus=0.1).remote(tiny_settings(), tiny_models.world_model)
    try:
        group = LearnerGroup([rank])
        group.join()
        with pytest.raises(UnknownPolicyError, match="0000000000000000"):
            group.learn([ray.put(stranger), ray.put(groups[1])], ADVANTAGES)
    finally:
        ray.kill(rank)
