"""The stages of an alignment run, from recorded episodes to the evaluated adapter."""

import json
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from eva_rl import pretrained
from eva_rl.actors.reward_setup import reward_of
from eva_rl.actors.roles import start_roles
from eva_rl.config.align import AlignSettings
from eva_rl.data.episodes import EpisodeSurvey
from eva_rl.driver.alignment_stage import run_align_stage
from eva_rl.driver.condition_schedule import ConditionSchedule
from eva_rl.driver.condition_stage import load_conditions
from eva_rl.driver.doctor.startup import self_tested
from eva_rl.driver.evaluation_stage import EvaluationStage
from eva_rl.driver.evaluator_pool import EvaluatorPool
from eva_rl.driver.progress import RunProgress
from eva_rl.driver.provenance import describe_run, record_start, update_provenance
from eva_rl.driver.run_directory import FINISHED, RunDirectory
from eva_rl.driver.stages import AFTER, ALIGN, BEFORE, ENCODE, LADDER, START
from eva_rl.evaluation.comparison import compare, compare_tasks, comparison_as_data
from eva_rl.evaluation.store import read_outcomes
from eva_rl.evaluation.terminal import print_comparison
from eva_rl.records.adapter import AdapterWeights
from eva_rl.trust.text import plain_text


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
    trained = _train(settings, directory, demonstrations.result(), progress, models=(world_model, idm))
    pool = EvaluatorPool(  # on the machines that training has left
        settings,
        world_model=world_model,
        idm=idm,
        reward=reward_of(settings, penalty_scale=trained.penalty_scale),
        tell=progress.tell,
    )
    with pool:
        evaluation = EvaluationStage(settings, directory, episodes=trained.survey.usable, pool=pool)
        _evaluate(settings, directory, trained.policy, evaluation, progress)
    update_provenance(
        directory.provenance, **{FINISHED: datetime.now().astimezone().isoformat(timespec="seconds")}
    )


@dataclass(frozen=True)
class _Trained:
    """What training leaves to the evaluation."""

    policy: AdapterWeights
    penalty_scale: float
    survey: EpisodeSurvey


def _train(
    settings: AlignSettings,
    directory: RunDirectory,
    recorded: Path | str,
    progress: RunProgress,
    *,
    models: tuple[str, str],
) -> _Trained:
    """From recorded episodes to the policy; its machines are given back on every way out."""
    world_model, idm = models
    with progress.stage(START):  # the actors load their models while the conditions are encoded
        roles = start_roles(settings, world_model=world_model, idm=idm, tell=progress.tell)
    try:
        with progress.stage(ENCODE) as stage:
            conditions, survey = load_conditions(settings, recorded, world_model=world_model)
            stage.advance(len(conditions), note=str(survey).splitlines()[0])
        if survey.damaged:
            progress.console.print(plain_text(str(survey)), markup=False, soft_wrap=True)
        schedule = ConditionSchedule(
            conditions, groups_per_step=settings.algorithm.groups_per_step, seed=settings.run.seed
        )
        update_provenance(directory.provenance, data=schedule.provenance())
        tested = self_tested(
            settings,
            roles,
            models=models,
            episodes=survey.usable,
            condition=conditions[0],
            directory=directory.path,
            tell=progress.console.print,
        )
        with tested as roles, progress.stage(ALIGN, total=settings.schedule.num_training_steps) as stage:
            stage.note("waiting for the actors' models")
            state = run_align_stage(settings, directory, roles, schedule, stage)
        return _Trained(roles.learner.deployed(), state.calibration.penalty_scale, survey)
    finally:
        roles.stop()


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
