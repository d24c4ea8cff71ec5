"""THE LOOP: batches of rollouts in, adapter updates out."""

import time
from collections import deque

from eva_rl.actors.roles import Roles
from eva_rl.config.align import AlignSettings
from eva_rl.driver.batch import PendingBatch, submit_batch
from eva_rl.driver.condition_schedule import ConditionSchedule
from eva_rl.driver.credit import CreditAssignment
from eva_rl.driver.failure_budget import check_failure_budget
from eva_rl.driver.progress import StageProgress
from eva_rl.driver.run_state import RunState
from eva_rl.driver.saving import Saving
from eva_rl.driver.step_metrics import describe, measure_step
from eva_rl.metrics.sinks import MetricSinks


def align(
    settings: AlignSettings,
    roles: Roles,
    schedule: ConditionSchedule,
    state: RunState,
    *,
    sinks: MetricSinks,
    progress: StageProgress,
) -> None:
    """Aligns the policy, one training step after the other.

    Consumes conditions; waits only for the rewards of the oldest batch; produces adapter versions, metrics
    and checkpoints. Batch k is always made by policy version max(0, k - rollouts_ahead), whatever the timing:
    it is submitted right after that version has reached the generators.

    Args:
        settings: of the run.
        roles: the running actors.
        schedule: conditions of every batch.
        state: where the run stands; advanced in place and checkpointed.
        sinks: receive one row of metrics per training step.
        progress: shows the user how far the run is.
    """
    num_training_steps, ahead = settings.schedule.num_training_steps, settings.schedule.rollouts_ahead
    credit = CreditAssignment(settings, state.calibration)
    saving = Saving(settings.schedule, warn=progress.warn)
    pending: deque[PendingBatch] = deque()
    for batch_index, weights in state.policies_in_flight(ahead, num_training_steps):
        roles.generators.write_adapter(weights)
        pending.append(submit_batch(roles, schedule.batch(batch_index), batch_index, weights.version))

    for training_step in range(state.training_step, num_training_steps):
        started = time.perf_counter()
        batch = pending.popleft()
        scores = batch.wait_for_rewards()
        waited = time.perf_counter()
        check_failure_budget(scores, settings.reward)
        for alarm in state.watch.observe(training_step, scores):
            progress.warn(str(alarm))

        advantages = credit.advantages(scores)
        update = roles.learner.learn(batch.groups, credit.weights(advantages, scores))
        learned = time.perf_counter()

        roles.generators.write_adapter(update.weights)
        state.advance(update.weights, scores.groups)
        synced = time.perf_counter()

        if (following := training_step + 1 + ahead) < num_training_steps:
            pending.append(submit_batch(roles, schedule.batch(following), following, update.weights.version))

        row = measure_step(
            batch, scores, advantages, update, started=started, waited=waited, learned=learned, synced=synced
        )
        sinks.write(training_step, row | state.watch.metrics())
        progress.advance(note=describe(row))
        saving.after_step(state, roles.learner, row)
