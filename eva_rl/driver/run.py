"""The stages of an alignment run, from recorded episodes to the evaluated adapter."""

import json
from datetime import datetime
from pathlib import Path

from eva_rl import pretrained
from eva_rl.actors.placement import PlacementError
from eva_rl.actors.roles import Roles, start_roles
from eva_rl.actors.scorer import reward_of
from eva_rl.checkpoints.manifest import CheckpointError
from eva_rl.checkpoints.store import CheckpointStore
from eva_rl.config.align import AlignSettings
from eva_rl.config.section import ConfigError
from eva_rl.data.episodes import EpisodeDirectoryError
from eva_rl.driver.align import align
from eva_rl.driver.calibration import calibrate_reward
from eva_rl.driver.condition_schedule import ConditionSchedule
from eva_rl.driver.condition_stage import load_conditions
from eva_rl.driver.evaluation_stage import EvaluationStage
from eva_rl.driver.progress import RunProgress
from eva_rl.driver.provenance import describe_run, update_provenance
from eva_rl.driver.run_directory import RunDirectory
from eva_rl.driver.run_state import RunState
from eva_rl.evaluation.comparison import compare, compare_tasks, comparison_as_data
from eva_rl.evaluation.store import read_outcomes
from eva_rl.evaluation.terminal import print_comparison
from eva_rl.metrics.jsonl import JsonlSink
from eva_rl.metrics.sinks import MetricSink, MetricSinks
from eva_rl.metrics.tensorboard import TensorboardSink

PLANNED_ERRORS = (CheckpointError, ConfigError, EpisodeDirectoryError, PlacementError)
"""What can go wrong with a run's inputs; the message says what to do, a traceback would not help."""

STAGES = (
    "encode conditions",
    "start actors",
    "evaluate before",
    "evaluate the ladder",
    "align",
    "evaluate after",
)


def run_alignment(
    settings: AlignSettings, directory: RunDirectory, demonstrations: Path, progress: RunProgress
) -> None:
    """Runs every stage on a Ray that is already there and leaves the results in the run directory.

    Args:
        settings: of the run.
        directory: open run directory.
        demonstrations: directory of recorded episodes.
        progress: announces STAGES.
    """
    world_model = str((settings.world_model.directory or pretrained.WORLD_MODEL).resolve())
    idm = str((settings.idm.directory or pretrained.IDM).resolve())
    if not settings.run.resume:
        facts = describe_run(
            seed=settings.run.seed,
            model_directories={"world_model": Path(world_model), "idm": Path(idm)},
        )
        update_provenance(directory.provenance, **facts)

    with progress.stage("encode conditions") as stage:
        conditions, survey = load_conditions(settings, demonstrations, world_model=world_model)
        stage.advance(len(conditions), note=str(survey).splitlines()[0])
    if survey.damaged:
        progress.console.print(str(survey), markup=False, soft_wrap=True)
    schedule = ConditionSchedule(
        conditions, groups_per_step=settings.algorithm.groups_per_step, seed=settings.run.seed
    )
    with progress.stage("start actors") as stage:
        roles = start_roles(settings, world_model=world_model, idm=idm, tell=stage.note)
        state = _open_state(settings, directory, roles, schedule)
        update_provenance(directory.provenance, penalty_scale=state.penalty_scale)
    evaluation = EvaluationStage(
        settings,
        roles,
        directory,
        world_model=world_model,
        idm=idm,
        reward=reward_of(settings, penalty_scale=state.penalty_scale),
    )
    try:
        _evaluate_align_evaluate(settings, directory, roles, schedule, state, evaluation, progress)
    finally:
        roles.stop()
    update_provenance(
        directory.provenance, finished=datetime.now().astimezone().isoformat(timespec="seconds")
    )


def _open_state(
    settings: AlignSettings, directory: RunDirectory, roles: Roles, schedule: ConditionSchedule
) -> RunState:
    """The untouched policy with a calibrated reward, or the newest checkpoint of a resumed run."""
    store = CheckpointStore(directory.checkpoints, keep=settings.schedule.keep_checkpoints)
    initial = roles.learner.join()
    ahead = settings.schedule.rollouts_ahead
    if settings.run.resume and store.training_steps():
        state = RunState.restore(store, roles.learner, rollouts_ahead=ahead)
        roles.scorers.set_penalty_scale(state.penalty_scale)
        return state
    penalty_scale = calibrate_reward(settings, roles, schedule)
    return RunState(store, rollouts_ahead=ahead, initial=initial, penalty_scale=penalty_scale)


def _evaluate_align_evaluate(
    settings: AlignSettings,
    directory: RunDirectory,
    roles: Roles,
    schedule: ConditionSchedule,
    state: RunState,
    evaluation: EvaluationStage,
    progress: RunProgress,
) -> None:
    before_file = directory.evaluation / "before.parquet"
    with progress.stage("evaluate before", total=evaluation.num_policy_calls) as stage:
        if not before_file.is_file():
            evaluation.evaluate_policy("before", None, stage)
    with progress.stage("evaluate the ladder", total=evaluation.num_ladder_calls) as stage:
        if settings.evaluation.num_ladder_conditions and not (directory.evaluation / "ladder.json").is_file():
            evaluation.evaluate_ladder(stage)
    with progress.stage("align", total=settings.schedule.num_training_steps) as stage:
        stage.advance(state.training_step)
        sinks = _open_sinks(settings, directory, num_done=state.training_step)
        align(settings, roles, schedule, state, sinks=sinks, progress=stage)
        sinks.close()
        roles.learner.export(directory.adapter)
    with progress.stage("evaluate after", total=evaluation.num_policy_calls) as stage:
        after = evaluation.evaluate_policy("after", state.policy, stage)

    before = read_outcomes(before_file)
    rows, task_rows = compare(before, after), compare_tasks(before, after)
    directory.summary.write_text(json.dumps(comparison_as_data([*rows, *task_rows]), indent=1) + "\n")
    print_comparison(rows, task_rows, console=progress.console)


def _open_sinks(settings: AlignSettings, directory: RunDirectory, *, num_done: int) -> MetricSinks:
    last_kept_step = num_done - 1 if num_done else None
    sinks: list[MetricSink] = [JsonlSink(directory.metrics, last_kept_step=last_kept_step)]
    if settings.metrics.tensorboard:
        sinks.append(TensorboardSink(directory.tensorboard, last_kept_step=last_kept_step))
    return MetricSinks(sinks)
