"""Scored groups and a written checkpoint that need no model."""

import numpy as np
import torch
from safetensors.numpy import save

from eva_rl.checkpoints.store import CheckpointStore
from eva_rl.config.reward import RewardSettings
from eva_rl.driver.ledger import Ledger
from eva_rl.driver.run_state import RunState
from eva_rl.driver.sentinel_watch import SentinelWatch
from eva_rl.records.adapter import AdapterVersion, AdapterWeights, adapter_hash
from eva_rl.records.calibration import Calibration
from eva_rl.records.reward import RewardBreakdown, ScoredGroup

NAMES = ("blocks.0.lora_A", "blocks.0.lora_B")


def adapter_of(training_step):
    """An adapter of two tensors with two values each, and its true hash."""
    values = np.arange(4, dtype=np.float32) + training_step
    tensors = [(name, values[2 * index : 2 * index + 2]) for index, name in enumerate(NAMES)]
    version = AdapterVersion(training_step=training_step, content_hash=adapter_hash(tensors))
    return AdapterWeights(version=version, values=values)


def scored(policy, condition_id="condition0"):
    breakdown = RewardBreakdown(
        rewards=torch.tensor([0.5, torch.nan]),
        penalties=torch.zeros(2),
        terms={},
        judged=torch.tensor([True, False]),
    )
    return ScoredGroup(
        condition_id=condition_id,
        adapter=policy.version,
        breakdown=breakdown,
        path_lengths=torch.tensor([1.0, 2.0]),
        generation_s=0.0,
        scoring_s=0.0,
        latent_hashes=("aa", "bb"),
    )


class FileLearner:
    """Writes what a learner writes; nothing is learned."""

    def __init__(self, training_step=0, num_bytes=0):
        self.training_step, self.num_bytes = training_step, num_bytes

    def save(self, folder):
        values = adapter_of(self.training_step).values
        tensors = {f"weights/{name}": values[2 * i : 2 * i + 2] for i, name in enumerate(NAMES)}
        content = {"optimizer.safetensors": save(tensors), "averages.safetensors": bytes(self.num_bytes)}
        return {name: folder.write(name, data) for name, data in content.items()}


def state_after(num_steps, store, *, file=None, save_each=True, learner=None):
    """A run of so many steps on one condition each, checkpointed after every one."""
    state = RunState(
        store,
        rollouts_ahead=0,
        initial=adapter_of(0),
        calibration=Calibration(penalty_scale=1.0),
        watch=SentinelWatch(RewardSettings()),
        ledger=Ledger(file),
    )
    for step in range(num_steps):
        state.advance(adapter_of(step + 1), [scored(adapter_of(step), f"condition{step}")])
        if save_each:
            state.save(learner or FileLearner(step + 1))
    return state


def store_in(directory, keep=10):
    return CheckpointStore(directory, keep=keep)
