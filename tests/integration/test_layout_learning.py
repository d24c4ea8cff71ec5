"""Every layout of published world models learns through DeepSpeed as it does in plain torch."""

import numpy as np
import pytest
import ray
import torch

from eva_rl.actors.generator import Generator
from eva_rl.actors.policy import open_policy
from eva_rl.world_model.adapter_io import read_adapter
from tests.adam_step import assert_same_step
from tests.integration.test_deepspeed_parity import (
    ADVANTAGES,
    LearnerProcess,
    assert_unit_ratio,
    plain_torch_update,
    start_learner,
)
from tests.tiny import TinyModels, tiny_settings
from tests.tiny_wan import SIZE, WAN_LAYOUTS

pytestmark = pytest.mark.integration

OPTIONS = {
    "plain": {},
    "stage 2, recomputed activations": {
        "learner__zero_stage": 2,
        "learner__checkpoints_activations": True,
    },
    "forward process": {
        "algorithm__loss": "nft",
        "algorithm__kl_form": "velocity",
        "algorithm__num_noise_draws": 2,
        "sampling__shares_prefix": False,
        "sampling__antithetic": False,
    },
}


@pytest.fixture(scope="module")
def processes(local_ray):
    process = ray.remote(LearnerProcess).options(num_cpus=0.1).remote()
    yield [process]
    ray.kill(process)


@pytest.fixture(scope="module")
def untouched_processes(local_ray):
    """A process in which no ZeRO-3 engine was: that stage replaces torch's linear function for good."""
    process = ray.remote(LearnerProcess).options(num_cpus=0.1).remote()
    yield [process]
    ray.kill(process)


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("name", WAN_LAYOUTS)
def test_every_layout_updates_as_in_plain_torch(
    name, options, processes, tiny_models, wan_directories, wan_conditions
):
    sizes = {f"video__{side}": value for side, value in SIZE.items()}
    settings = tiny_settings(**(sizes | OPTIONS[options]))
    models = TinyModels(world_model=str(wan_directories(name)), idm=tiny_models.idm)
    groups = Generator(settings, models.world_model).generate(wan_conditions(name), 0)
    before = read_adapter(open_policy(settings, models.world_model).transformer, 0)
    expected = plain_torch_update(settings, models, groups)

    learner, initial = start_learner(processes, settings, models)
    assert initial.version == before.version
    update = learner.learn([ray.put(group) for group in groups], ADVANTAGES)

    assert np.abs(expected.weights.values - before.values).max() > 1e-3
    assert_same_step(update.weights.values, expected, learning_rate=settings.learner.learning_rate)
    assert_unit_ratio(settings, update)


@pytest.mark.parametrize("zero_stage", [1, 2, 3])
def test_an_offloaded_optimizer_makes_the_same_update(zero_stage, processes, tiny_models, tiny_conditions):
    settings = tiny_settings(learner__zero_stage=zero_stage, learner__offloads_optimizer=True)
    groups = Generator(settings, tiny_models.world_model).generate(tiny_conditions[:2], 0)
    expected = plain_torch_update(settings, tiny_models, groups)
    learner, _ = start_learner(processes, settings, tiny_models)
    update = learner.learn([ray.put(group) for group in groups], ADVANTAGES)
    assert_same_step(update.weights.values, expected, learning_rate=settings.learner.learning_rate)
    assert torch.isfinite(torch.tensor(list(update.metrics.values()))).all()


@pytest.mark.parametrize("zero_stage", [0, 1, 2])
@pytest.mark.parametrize("name", ["wan22_ti2v_5b", "wan22_i2v_a14b"])
def test_half_precision_learners_see_the_policy_that_sampled(
    name, zero_stage, untouched_processes, tiny_models, wan_directories, wan_conditions
):
    sizes = {f"video__{side}": value for side, value in SIZE.items()}
    settings = tiny_settings(world_model__precision="bfloat16", learner__zero_stage=zero_stage, **sizes)
    models = TinyModels(world_model=str(wan_directories(name)), idm=tiny_models.idm)
    groups = Generator(settings, models.world_model).generate(wan_conditions(name), 0)
    learner, _ = start_learner(untouched_processes, settings, models)
    update = learner.learn([ray.put(group) for group in groups], ADVANTAGES)
    assert update.metrics["learner/max_ratio_deviation"] == 0.0
    assert update.metrics["learner/grad_norm"] > 0
