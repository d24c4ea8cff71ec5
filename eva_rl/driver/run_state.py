"""Where a run stands: all that a resumed run needs besides its settings."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from safetensors.numpy import load, save

from eva_rl.actors.learner_group import LearnerGroup
from eva_rl.checkpoints.folder import Folder
from eva_rl.checkpoints.retention import METRICS
from eva_rl.checkpoints.store import CheckpointStore
from eva_rl.driver.calibration import calibration_as_data, calibration_from_data
from eva_rl.driver.ledger import Ledger
from eva_rl.driver.run_facts import RunFacts
from eva_rl.driver.sentinel_watch import SentinelWatch
from eva_rl.records.adapter import AdapterVersion, AdapterWeights
from eva_rl.records.calibration import Calibration
from eva_rl.records.reward import ScoredGroup

POLICIES_FILE = "policies.safetensors"
LEDGER_FILE = "ledger.jsonl"
RANDOMNESS = "none: every draw has a seed made of run.seed, training step and condition id"


def newest_checkpoint(store: CheckpointStore) -> tuple[Folder, dict[str, Any]]:
    """Folder and driver state of the newest checkpoint; its `adapter/` is the one to deploy.

    Raises:
        CheckpointError: when there is none, or an entry or file was altered.
    """
    steps = store.training_steps()
    return store.read(steps[-1] if steps else 0)


class RunState:
    """Training step, the policies that batches in flight are made by, and what was trained on.

    Conditions, seeds and step windows are functions of the training step, so nothing else moves.

    Args:
        store: of checkpoints.
        rollouts_ahead: of the run.
        initial: newest adapter.
        calibration: what was found out with the base policy.
        watch: of the sentinels.
        ledger: what was trained on so far; default: kept in memory.
        facts: what else every checkpoint says; default: nothing.
    """

    def __init__(
        self,
        store: CheckpointStore,
        *,
        rollouts_ahead: int,
        initial: AdapterWeights,
        calibration: Calibration,
        watch: SentinelWatch,
        ledger: Ledger | None = None,
        facts: RunFacts | None = None,
    ) -> None:
        self.training_step = initial.version.training_step
        self.calibration = calibration
        self.watch = watch
        self.ledger = Ledger() if ledger is None else ledger
        self._facts = facts
        self.skipped_steps = 0
        self._store = store
        self._rollouts_ahead = rollouts_ahead
        self._policies = {self.training_step: initial}
        self._saved_step: int | None = None

    @property
    def policy(self) -> AdapterWeights:
        """The newest adapter that generators sample with."""
        return self._policies[self.training_step]

    def policies_in_flight(self, ahead: int, num_training_steps: int) -> Iterator[tuple[int, AdapterWeights]]:
        """The batches to have in generation now, oldest first, with the policy that makes each."""
        for index in range(self.training_step, min(self.training_step + ahead + 1, num_training_steps)):
            yield index, self._policies[max(0, index - ahead)]

    def advance(self, weights: AdapterWeights, groups: Sequence[ScoredGroup] = ()) -> None:
        """Counts one training step, books what it was learned from, forgets policies that are not needed."""
        if groups:
            self.ledger.append(self.training_step, groups, made=weights.version)
        self.training_step += 1
        self._policies[self.training_step] = weights
        oldest_needed = max(0, self.training_step - self._rollouts_ahead)
        self._policies = {step: kept for step, kept in self._policies.items() if step >= oldest_needed}

    def save(self, learner: LearnerGroup, *, metrics: Mapping[str, float] | None = None) -> Folder:
        """Checkpoints the learner, the policies in flight, the ledger and the position, once per step.

        Args:
            learner: its ranks write their own files.
            metrics: of the training step that has just ended; the store may rank checkpoints by them.

        Raises:
            OSError: it could not be written; then there is no trace of it, and earlier ones are whole.
        """
        if self._saved_step == self.training_step:  # writing it again would put a whole one at risk
            return self._store.at(self.training_step)
        try:
            folder = self._store.begin(self.training_step)
            files = learner.save(folder)
            policies = {str(step): weights.values for step, weights in self._policies.items()}
            files[POLICIES_FILE] = folder.write(POLICIES_FILE, save(policies))
            files[LEDGER_FILE] = folder.write(LEDGER_FILE, self.ledger.as_bytes())
            self._store.commit(self.training_step, self._as_data(metrics or {}), files)
        except OSError:
            self._store.abandon(self.training_step)
            raise
        self._saved_step = self.training_step
        return folder

    def _as_data(self, metrics: Mapping[str, float]) -> dict[str, Any]:
        versions = {step: weights.version.content_hash for step, weights in self._policies.items()}
        plan = [
            {"batch": index, "policy": max(0, index - self._rollouts_ahead)}
            for index in range(self.training_step, self.training_step + self._rollouts_ahead + 1)
        ]
        return {
            **({} if self._facts is None else self._facts.at(self.training_step)),
            "training_step": self.training_step,
            "calibration": calibration_as_data(self.calibration),
            "watch": self.watch.state(),
            "skipped_steps": self.skipped_steps,
            "policies": {str(step): content_hash for step, content_hash in versions.items()},
            "plan": plan,
            "ledger": {"num_steps": len(self.ledger), "chain": self.ledger.chain},
            "randomness": RANDOMNESS,
            METRICS: {name: value for name, value in metrics.items() if np.isfinite(value)},
        }

    @classmethod
    def restore(
        cls,
        store: CheckpointStore,
        learner: LearnerGroup,
        *,
        rollouts_ahead: int,
        watch: SentinelWatch,
        ledger: Ledger | None = None,
        facts: RunFacts | None = None,
    ) -> "RunState":
        """Loads the newest checkpoint into the learner and returns the state it was saved in.

        Args:
            store: of checkpoints.
            learner: receives its state, whatever its number of ranks.
            rollouts_ahead: of the run.
            watch: of the sentinels; taken back.
            ledger: taken back too; default: kept in memory.
            facts: what later checkpoints say; default: what this one says.

        Raises:
            CheckpointError: when there is none, an entry or file was altered, or the data are others.
            ConfigError: settings differ that a resumed run must keep.
        """
        folder, saved = newest_checkpoint(store)
        earlier = RunFacts.saved(saved)
        if facts is not None and earlier is not None:
            facts.check_continues(earlier)
        learner.load(folder)
        values = load(folder.read(POLICIES_FILE))
        policies = {
            int(step): AdapterWeights(
                version=AdapterVersion(training_step=int(step), content_hash=content_hash),
                values=np.ascontiguousarray(values[step]),
            )
            for step, content_hash in saved["policies"].items()
        }
        watch.restore(saved["watch"])
        ledger = Ledger() if ledger is None else ledger
        ledger.restore(folder.read(LEDGER_FILE))
        state = cls(
            store,
            rollouts_ahead=rollouts_ahead,
            initial=policies[saved["training_step"]],
            calibration=calibration_from_data(saved["calibration"]),
            watch=watch,
            ledger=ledger,
            facts=earlier if facts is None else facts,
        )
        state._policies = policies
        state._saved_step = state.training_step
        state.skipped_steps = saved["skipped_steps"]
        return state
