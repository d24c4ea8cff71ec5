"""THE LOOP: batches of rollouts in, adapter updates out."""

import time

from eva_rl.actors.roles import Roles
from eva_rl.config.align import AlignSettings
from eva_rl.driver.batches import ORDERINGS
from eva_rl.driver.condition_schedule import ConditionSchedule
from eva_rl.driver.credit import CreditAssignment
from eva_rl.driver.failure_budget import check_failure_budget, check_skipped_steps
from eva_rl.driver.notices import Notices
from eva_rl.driver.progress import StageProgress
from eva_rl.driver.run_state import RunState
from eva_rl.driver.saving import Saving
from eva_rl.driver.step_metrics import describe, measure_faults, measure_roles, measure_step
from eva_rl.driver.timeline import Timeline
from eva_rl.metrics.sinks import MetricSinks


def align(
    settings: AlignSettings,
    roles: Roles,
    schedule: ConditionSchedule,
    state: RunState,
    *,
    sinks: MetricSinks,
    progress: StageProgress,
    notices: Notices,
    timeline: Timeline,
) -> None:
    """Aligns the policy, one training step after the other.

    Consumes conditions; waits for the rewards of the oldest batch and for the learner, while generators and
    scorers work on; produces adapter versions, metrics and checkpoints. Batch k is always made by policy
    version max(0, k - rollouts_ahead), whatever the timing: it is ordered as soon as that version exists.

    Args:
        settings: of the run.
        roles: the running actors.
        schedule: conditions of every batch.
        state: where the run stands; advanced in place and checkpointed.
        sinks: receive one row of metrics per training step.
        progress: shows the user how far the run is.
        notices: end the loop between two steps when the machine is about to go.
        timeline: learns what took how long.

    Raises:
        LearnerLostError: the learner is gone; training can go on from the newest checkpoint.
        StopNoticeError: a notice came; the state is that of a whole number of training steps.
    """
    credit = CreditAssignment(settings, state.calibration)
    saving = Saving(settings.schedule, warn=progress.warn)
    batches = ORDERINGS[settings.schedule.ordering](settings, roles, schedule, state)
    ended, recording_s = time.perf_counter(), 0.0
    for training_step in range(state.training_step, settings.schedule.num_training_steps):
        started = ended
        batch = batches.take(check=notices.check)
        scores = batch.scores()
        waited = time.perf_counter()
        check_failure_budget(scores, settings.reward)
        for alarm in state.watch.observe(training_step, scores):
            progress.warn(str(alarm))

        advantages = credit.advantages(scores)
        update = roles.learner.learn(batch.groups, credit.weights(advantages, scores))
        learned = time.perf_counter()

        state.advance(update.weights, scores.groups)
        batches.release(update.weights)
        synced = time.perf_counter()

        row = measure_step(
            batch, scores, advantages, update, started=started, waited=waited, learned=learned, synced=synced
        )
        row |= state.watch.metrics() | measure_faults(roles.dispatcher.faults)
        row |= measure_roles(roles.dispatcher, update.weights.version) | {"time/record_s": recording_s}
        sinks.write(training_step, row)
        progress.advance(note=describe(row))
        state.skipped_steps = check_skipped_steps(state.skipped_steps, row, settings.faults)
        saving.after_step(state, roles.learner, row, is_urgent=notices.wants_checkpoint())
        ended = time.perf_counter()
        recording_s = ended - synced
        timeline.step_ended(training_step, (started, waited, learned, synced, ended))
        notices.check()
