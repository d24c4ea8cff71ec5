"""The align stage: opens the state, runs the loop, and begins it again when the learner was lost."""

from collections.abc import Mapping
from typing import Any

from eva_rl.actors.learner_group import LearnerLostError
from eva_rl.actors.roles import Roles
from eva_rl.checkpoints.store import CheckpointStore
from eva_rl.config.align import AlignSettings
from eva_rl.driver.align import align
from eva_rl.driver.calibration import RemoteRollouts, calibrate, calibration_as_data
from eva_rl.driver.condition_schedule import ConditionSchedule
from eva_rl.driver.growth import Growth, growing
from eva_rl.driver.ledger import Ledger
from eva_rl.driver.metric_sinks import open_sinks
from eva_rl.driver.notices import Notices, StopNoticeError
from eva_rl.driver.progress import StageProgress
from eva_rl.driver.provenance import update_provenance
from eva_rl.driver.run_directory import RunDirectory
from eva_rl.driver.run_facts import RunFacts
from eva_rl.driver.run_state import RunState
from eva_rl.driver.saving import open_store
from eva_rl.driver.sentinel_watch import SentinelWatch
from eva_rl.driver.timeline import Timeline
from eva_rl.metrics.sinks import MetricSinks


def run_align_stage(
    settings: AlignSettings,
    directory: RunDirectory,
    roles: Roles,
    schedule: ConditionSchedule,
    stage: StageProgress,
) -> RunState:
    """Trains to the last step, through losses of the learner, and exports the adapter.

    Args:
        settings: of the run.
        directory: open run directory.
        roles: started; they may still be loading their models.
        schedule: conditions of every batch.
        stage: shows the user how far the run is.

    Returns:
        The state after the last step.

    Raises:
        LearnerLostError: faults.max_learner_restarts were used up.
        StopNoticeError: the driver was asked to stop; a checkpoint of the last whole step was written.
    """
    store = open_store(settings, directory.checkpoints)
    booked = {"ledger": Ledger(directory.ledger), "facts": RunFacts.of(settings, schedule)}
    continues, num_restarts = bool(settings.run.resume), 0
    with (
        growing(settings, roles, tell=stage.warn) as growth,
        Notices(roles.dispatcher, tell=stage.warn) as notices,
    ):
        while True:
            try:
                state = _open_state(settings, store, roles, schedule, booked, continues=continues)
                update_provenance(directory.provenance, **calibration_as_data(state.calibration))
                _train(
                    settings, directory, roles, schedule, state, stage=stage, notices=notices, growth=growth
                )
                roles.learner.export(directory.adapter)
                return state
            except LearnerLostError as loss:
                num_restarts += 1
                if num_restarts > settings.faults.max_learner_restarts:
                    raise
                stage.warn(f"{loss}; all ranks are started again and go on from the newest checkpoint")
                roles.dispatcher.cancel_all()
                roles.learner.restart()
                continues = True


def _open_state(
    settings: AlignSettings,
    store: CheckpointStore,
    roles: Roles,
    schedule: ConditionSchedule,
    booked: Mapping[str, Any],
    *,
    continues: bool,
) -> RunState:
    """The untouched policy with a calibrated reward, or the newest checkpoint."""
    initial = roles.learner.join()
    ahead, watch = settings.schedule.rollouts_ahead, SentinelWatch(settings.reward)
    if continues and store.training_steps():
        state = RunState.restore(store, roles.learner, rollouts_ahead=ahead, watch=watch, **booked)
    else:
        rollouts = RemoteRollouts(settings, roles, schedule, initial)
        calibration = calibrate(settings, rollouts, schedule.batch(0)[0])
        state = RunState(
            store, rollouts_ahead=ahead, initial=initial, calibration=calibration, watch=watch, **booked
        )
        state.save(roles.learner)  # so that a lost learner can be restored at any time
    roles.prepare(state.calibration)
    return state


def _train(
    settings: AlignSettings,
    directory: RunDirectory,
    roles: Roles,
    schedule: ConditionSchedule,
    state: RunState,
    *,
    stage: StageProgress,
    notices: Notices,
    growth: Growth,
) -> None:
    stage.go_to(state.training_step)
    last_kept_step = state.training_step - 1 if directory.metrics.is_file() else None
    written = open_sinks(settings, directory, last_kept_step=last_kept_step, tell=stage.warn)
    sinks = MetricSinks([written, growth])
    timeline = Timeline(directory.trace if settings.metrics.trace else None, tell=stage.warn)
    roles.dispatcher.on_work = [timeline.member_worked]
    loop = {"sinks": sinks, "progress": stage, "notices": notices, "timeline": timeline}
    try:
        align(settings, roles, schedule, state, **loop)
    except StopNoticeError as notice:
        saved = state.save(roles.learner)
        raise StopNoticeError(
            f"{notice}; the run is saved in {saved}: the same command with --run.resume auto goes on from it"
        ) from None
    finally:
        sinks.close()
        roles.dispatcher.on_work = []
        timeline.close()
