"""The control of a comparison: fine-tuning on the recordings fits them, and counts no rollouts."""

import torch

from benchmarks.supervised_run import SupervisedRun
from eva_rl.records.condition import ConditionTensors
from eva_rl.world_model.finetuning import supervised_loss
from eva_rl.world_model.lora import reference_policy
from eva_rl.world_model.world_model import WorldModel
from tests.tiny import tiny_settings


def error_on(world_model: WorldModel, conditions):
    with torch.no_grad():
        return supervised_loss(
            world_model,
            torch.stack([encoded.demonstration for encoded in conditions]),
            ConditionTensors.stacked([encoded.tensors for encoded in conditions]),
            generator=torch.Generator().manual_seed(0),
        ).item()


def test_the_recordings_are_fitted_by_the_adapter_alone(tiny_models, tiny_conditions):
    settings = tiny_settings(
        learner__learning_rate=1e-2, learner__warmup_steps=0, algorithm__groups_per_step=4
    )
    run = SupervisedRun(
        settings=settings, conditions=tiny_conditions, world_model=tiny_models.world_model, idm=""
    )
    before, untouched = error_on(run.policy, tiny_conditions), run.deployed()
    while len(run.steps) < 30:
        run.train(1e-9)  # at least one step
    assert error_on(run.policy, tiny_conditions) < 0.9 * before
    with reference_policy(run.policy.transformer):
        assert error_on(run.policy, tiny_conditions) == before
    assert run.deployed().version.content_hash != untouched.version.content_hash
    assert {step.num_rollouts for step in run.steps} == {0}
    assert all(step.cpu_s > 0 for step in run.steps)
