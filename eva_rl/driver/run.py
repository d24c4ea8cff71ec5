"""The stages of an alignment run, from recorded episodes to the evaluated adapter."""

import json
from concurrent.futures import Future
from datetime import datetime
from functools import partial
from pathlib import Path

from eva_rl import pretrained
from eva_rl.actors.reward_setup import reward_of
from eva_rl.actors.roles import Roles, start_roles
from eva_rl.config.align import AlignSettings
from eva_rl.driver.align import align
from eva_rl.driver.calibration import RemoteRollouts, calibrate, calibration_as_data
from eva_rl.driver.condition_schedule import ConditionSchedule
from eva_rl.driver.condition_stage import load_conditions
from eva_rl.driver.evaluation_stage import EvaluationStage
from eva_rl.driver.ledger import Ledger
from eva_rl.driver.progress import RunProgress, StageProgress
from eva_rl.driver.provenance import describe_run, record_start, update_provenance
from eva_rl.driver.run_directory import FINISHED, RunDirectory
from eva_rl.driver.run_facts import RunFacts
from eva_rl.driver.run_state import RunState
from eva_rl.driver.saving import open_store
from eva_rl.driver.sentinel_watch import SentinelWatch
from eva_rl.driver.stages import AFTER, ALIGN, BEFORE, ENCODE, LADDER, START
from eva_rl.evaluation.comparison import compare, compare_tasks, comparison_as_data
from eva_rl.evaluation.store import read_outcomes
from eva_rl.evaluation.terminal import print_comparison
from eva_rl.metrics.jsonl import JsonlSink
from eva_rl.metrics.sinks import MetricSink, MetricSinks
from eva_rl.metrics.tensorboard import TensorboardSink
from eva_rl.records.adapter import AdapterWeights


def run_alignment(
    settings: AlignSettings,
    directory: RunDirectory,
    demonstrations: Future[Path | str],
    progress: RunProgress,
) -> None:
    """Runs every stage on a Ray that is already there and leaves the results in the run directory.

    Args:
        settings: of the run.
        directory: open run directory.
        demonstrations: will be the directory or URI of recorded episodes.
        progress: announces STAGES.
    """
    world_model = str((settings.world_model.directory or pretrained.WORLD_MODEL).resolve())
    idm = str((settings.idm.directory or pretrained.IDM).resolve())
    record_start(
        directory.provenance,
        describe_run(
            seed=settings.run.seed,
            model_directories={"world_model": Path(world_model), "idm": Path(idm)},
        ),
    )
    recorded = demonstrations.result()

    with progress.stage(START) as stage:  # the actors load their models while the conditions are encoded
        roles = start_roles(settings, world_model=world_model, idm=idm, tell=stage.note)
    try:
        with progress.stage(ENCODE) as stage:
            conditions, survey = load_conditions(settings, recorded, world_model=world_model)
            stage.advance(len(conditions), note=str(survey).splitlines()[0])
        if survey.damaged:
            progress.console.print(str(survey), markup=False, soft_wrap=True)
        schedule = ConditionSchedule(
            conditions, groups_per_step=settings.algorithm.groups_per_step, seed=settings.run.seed
        )
        update_provenance(directory.provenance, data=schedule.provenance())
        with progress.stage(ALIGN, total=settings.schedule.num_training_steps) as stage:
            stage.note("waiting for the actors' models")
            state = _open_state(settings, directory, roles, schedule)
            update_provenance(directory.provenance, **calibration_as_data(state.calibration))
            _align(settings, directory, roles, schedule, state, stage)
        deployed = roles.learner.deployed()
    finally:
        roles.stop()
    evaluation = EvaluationStage(  # on the machines that training has left
        settings,
        directory,
        episodes=survey.usable,
        world_model=world_model,
        idm=idm,
        reward=reward_of(settings, penalty_scale=state.calibration.penalty_scale),
        tell=partial(progress.console.print, markup=False, soft_wrap=True),
    )
    _evaluate(settings, directory, deployed, evaluation, progress)
    evaluation.stop()
    update_provenance(
        directory.provenance, **{FINISHED: datetime.now().astimezone().isoformat(timespec="seconds")}
    )


def _open_state(
    settings: AlignSettings, directory: RunDirectory, roles: Roles, schedule: ConditionSchedule
) -> RunState:
    """The untouched policy with a calibrated reward, or the newest checkpoint of a resumed run."""
    store = open_store(settings, directory.checkpoints)
    initial = roles.learner.join()
    ahead, watch = settings.schedule.rollouts_ahead, SentinelWatch(settings.reward)
    booked = {"ledger": Ledger(directory.ledger), "facts": RunFacts.of(settings, schedule)}
    if settings.run.resume and store.training_steps():
        state = RunState.restore(store, roles.learner, rollouts_ahead=ahead, watch=watch, **booked)
    else:
        calibration = calibrate(settings, RemoteRollouts(roles, schedule), schedule.batch(0)[0])
        state = RunState(
            store, rollouts_ahead=ahead, initial=initial, calibration=calibration, watch=watch, **booked
        )
        state.save(roles.learner)  # so that a lost learner can be restored at any time
    roles.prepare(state.calibration)
    return state


def _align(
    settings: AlignSettings,
    directory: RunDirectory,
    roles: Roles,
    schedule: ConditionSchedule,
    state: RunState,
    stage: StageProgress,
) -> None:
    stage.advance(state.training_step)
    sinks = _open_sinks(settings, directory, num_done=state.training_step)
    align(settings, roles, schedule, state, sinks=sinks, progress=stage)
    sinks.close()
    roles.learner.export(directory.adapter)


def _evaluate(
    settings: AlignSettings,
    directory: RunDirectory,
    deployed: AdapterWeights,
    evaluation: EvaluationStage,
    progress: RunProgress,
) -> None:
    before_file = directory.evaluation / "before.parquet"
    with progress.stage(BEFORE, total=evaluation.num_policy_calls) as stage:
        if not before_file.is_file():
            evaluation.evaluate_policy("before", None, stage)
    with progress.stage(LADDER, total=evaluation.num_ladder_calls) as stage:
        if settings.evaluation.num_ladder_conditions and not (directory.evaluation / "ladder.json").is_file():
            evaluation.evaluate_ladder(stage)
    after_file = directory.evaluation / "after.parquet"
    with progress.stage(AFTER, total=evaluation.num_policy_calls) as stage:
        if not after_file.is_file():
            evaluation.evaluate_policy("after", deployed, stage)

    before, after = read_outcomes(before_file), read_outcomes(after_file)
    rows, task_rows = compare(before, after), compare_tasks(before, after)
    directory.summary.write_text(json.dumps(comparison_as_data([*rows, *task_rows]), indent=1) + "\n")
    print_comparison(rows, task_rows, console=progress.console)


def _open_sinks(settings: AlignSettings, directory: RunDirectory, *, num_done: int) -> MetricSinks:
    last_kept_step = num_done - 1 if num_done else None
    sinks: list[MetricSink] = [JsonlSink(directory.metrics, last_kept_step=last_kept_step)]
    if settings.metrics.tensorboard:
        sinks.append(TensorboardSink(directory.tensorboard, last_kept_step=last_kept_step))
    return MetricSinks(sinks)
