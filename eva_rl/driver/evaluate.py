"""An evaluation by itself: the ladder, the base policy, a trained policy, and best of N."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import ray

from eva_rl import pretrained
from eva_rl.actors.reward_setup import reward_of
from eva_rl.config.align import AlignSettings
from eva_rl.config.evaluate import EvaluateSettings
from eva_rl.config.section import ConfigError
from eva_rl.data.listing import list_episodes
from eva_rl.driver.evaluator_pool import EvaluatorPool
from eva_rl.driver.progress import RunProgress, StageProgress
from eva_rl.driver.provenance import describe_run, update_provenance
from eva_rl.driver.run_directory import RunDirectory
from eva_rl.driver.trained_policy import TrainedPolicy, find_policy, load_policy
from eva_rl.evaluation.best_of import BestOfRow, best_of_as_data, best_of_rows
from eva_rl.evaluation.correlation import correlations_of_sets
from eva_rl.evaluation.held_out import in_splits, planned_scenes, recorded_scenes, split_recorded
from eva_rl.evaluation.ladder_tables import best_of_table, correlation_table, ladder_table
from eva_rl.evaluation.parts import with_tasks, with_wordings
from eva_rl.evaluation.quantities import summarise
from eva_rl.evaluation.rungs import POLICY_RUNG, RUNGS
from eva_rl.evaluation.store import write_outcomes, write_reports
from eva_rl.evaluation.wording import NOT_EXECUTED
from eva_rl.records.adapter import AdapterWeights
from eva_rl.records.evaluation import Estimate, HeldOutScene, Outcome
from eva_rl.rewards.reward import REWARD_PRESETS
from eva_rl.simulators.robotwin.protocols import PROTOCOLS
from eva_rl.simulators.table import simulator_of, tasks_of

SEARCH, MEASURE = "find scenes", "evaluate"
EVALUATE_STAGES = (SEARCH, MEASURE)


@dataclass
class Findings:
    """Everything that was measured.

    Attributes:
        sets: outcomes by label: the rungs, "aligned", "best_of_<N>".
        best_of: what choosing among N clips costs and gives; empty if it was not asked for.
    """

    sets: dict[str, list[Outcome]] = field(default_factory=dict)
    best_of: list[BestOfRow] = field(default_factory=list)


def run_evaluation(settings: EvaluateSettings, directory: Path, progress: RunProgress) -> None:
    """Evaluates everything that the settings ask for, prints the tables and writes them down.

    Writes, into `directory`:
        <label>.parquet: one row per condition of a rung, of the policy ("aligned"), of the best of N.
        ladder.json: estimates with 95 % intervals over all tasks, as `<label>/<task>`, and with two wordings
            as `<label>/seen` and `<label>/unseen`.
        correlation.json: rank correlation of the reward with the execution, per label.
        best_of.json: cost and success of the best of N.
        scenes.json: what the search for scenes met.
        provenance.json: command, seed, commit, hardware, hashes of the models.

    Args:
        settings: of the evaluation.
        directory: for the results.
        progress: announces EVALUATE_STAGES.
    """
    run, policy = settings.as_run(), find_policy(settings)
    weights = None
    if policy is not None:
        run = run.model_copy(update={"adapter": policy.adapter})
        weights = load_policy(run, policy)
        for difference in policy.differences:
            progress.console.print(f"Note: {difference}", style="yellow", markup=False, soft_wrap=True)
    run = with_protocol(run)
    facts = describe_run(seed=run.run.seed, model_directories=_models(run))
    update_provenance(RunDirectory(directory).provenance, **facts)
    with _evaluators(run, _penalty_scale(settings, policy), progress.tell) as pool:
        with progress.stage(SEARCH) as stage:
            scenes = _find_scenes(run, pool, directory, stage)
        with progress.stage(MEASURE) as stage:
            findings = _measure(run, pool, scenes, weights, stage)
    correlations = correlations_of_sets(with_wordings(findings.sets))
    _write(directory, findings, correlations)
    _show(findings, correlations, progress)
    if not simulator_of(run.robot).executes:
        progress.console.print(f"Success: {NOT_EXECUTED} (robot.simulator = none).", style="bold")


def with_protocol(settings: AlignSettings) -> AlignSettings:
    """Puts a published protocol's tasks, first seed and number of scenes into the settings.

    Raises:
        ConfigError: unknown protocol, another simulator than RoboTwin, or tasks that only the user can name.
    """
    name = settings.evaluation.protocol
    if name is None:
        return settings
    if name not in PROTOCOLS or settings.robot.simulator != "robotwin":
        raise ConfigError(
            [
                f"evaluation.protocol must be one of {', '.join(PROTOCOLS)} with robot.simulator = robotwin, "
                f"got {name!r} with {settings.robot.simulator}"
            ]
        )
    protocol, installed = PROTOCOLS[name], simulator_of(settings.robot).tasks(settings.robot) or ()
    try:
        tasks = protocol.tasks(settings.robot.tasks, installed)
    except ValueError as error:
        raise ConfigError([str(error)]) from None
    evaluation = {
        "num_conditions": len(tasks) * protocol.episodes_per_task,
        "first_scene_seed": protocol.first_seed,
    }
    return settings.model_copy(
        update={
            "robot": settings.robot.model_copy(update={"tasks": tasks}),
            "evaluation": settings.evaluation.model_copy(update=evaluation),
        }
    )


def _penalty_scale(settings: EvaluateSettings, policy: TrainedPolicy | None) -> float:
    """The one that the policy's run calibrated, so that rewards can be compared with its report."""
    if policy is not None and policy.penalty_scale is not None:
        return policy.penalty_scale
    scale = settings.reward.penalty_scale
    return REWARD_PRESETS[settings.reward.preset].p0 if scale == "calibrated" else scale


def _evaluators(settings: AlignSettings, penalty_scale: float, tell: Callable[[str], None]) -> EvaluatorPool:
    world_model, idm = (directory.resolve() for directory in _models(settings).values())
    reward = reward_of(settings, penalty_scale=penalty_scale)
    return EvaluatorPool(settings, world_model=str(world_model), idm=str(idm), reward=reward, tell=tell)


def _models(settings: AlignSettings) -> dict[str, Path]:
    return {
        "world_model": settings.world_model.directory or pretrained.WORLD_MODEL,
        "idm": settings.idm.directory or pretrained.IDM,
    }


def _find_scenes(
    settings: AlignSettings, pool: EvaluatorPool, directory: Path, stage: StageProgress
) -> list[HeldOutScene]:
    simulator, wanted = simulator_of(settings.robot), settings.evaluation
    if not simulator.executes:
        directory_of_data = settings.data.directory
        assert directory_of_data is not None  # a rule of the settings
        episodes = list_episodes(
            directory_of_data,
            tasks=settings.robot.tasks or None,
            camera=settings.data.camera,
            max_per_task=settings.data.max_episodes_per_task,
        )
        return recorded_scenes(split_recorded(episodes, settings)[1], wanted)
    tasks = tasks_of(settings.robot)
    if simulator.find_seeds is None:
        return planned_scenes(tasks, wanted, video=settings.video, robot=settings.robot)
    found = pool.search_scenes(tasks, wanted, stage)
    searches = {task: asdict(search) for task, search in found.searches.items()}
    (directory / "scenes.json").write_text(json.dumps(searches, indent=1) + "\n")
    return found.scenes


def _measure(
    settings: AlignSettings,
    pool: EvaluatorPool,
    scenes: Sequence[HeldOutScene],
    policy: AdapterWeights | None,
    stage: StageProgress,
) -> Findings:
    """Evaluates rungs, policies and best of N; only what is imagined depends on the wording."""
    wanted, findings = settings.evaluation, Findings()
    conditions = in_splits(scenes, wanted.instruction_split)
    once = in_splits(scenes, "unseen" if wanted.instruction_split == "unseen" else "seen")
    for rung in RUNGS:
        of_rung = conditions if rung == POLICY_RUNG else once[: wanted.num_ladder_conditions]
        if of_rung:
            findings.sets[rung] = pool.evaluate(of_rung, rung, stage)
    if policy is not None:
        findings.sets["aligned"] = pool.evaluate(conditions, POLICY_RUNG, stage, adapter=ray.put(policy))
    if wanted.best_of > 1:
        chosen = pool.evaluate_best_of(conditions, stage)
        findings.best_of = best_of_rows(chosen)
        for choice in sorted(chosen, key=lambda one: one.num_clips):
            findings.sets.setdefault(choice.outcome.rung, []).append(choice.outcome)
    return findings


def _write(directory: Path, findings: Findings, correlations: Mapping[str, Mapping[str, Estimate]]) -> None:
    for label, outcomes in findings.sets.items():
        write_outcomes(directory / f"{label}.parquet", outcomes)
    parts = with_wordings(findings.sets) | with_tasks(findings.sets)
    write_reports(
        directory / "ladder.json",
        {label: summarise(label.partition("/")[0], outcomes) for label, outcomes in parts.items()},
    )
    as_data = {
        label: {name: asdict(estimate) for name, estimate in found.items()}
        for label, found in correlations.items()
    }
    (directory / "correlation.json").write_text(json.dumps(as_data, indent=1) + "\n")
    if findings.best_of:
        rows = best_of_as_data(findings.best_of)
        (directory / "best_of.json").write_text(json.dumps(rows, indent=1) + "\n")


def _show(
    findings: Findings, correlations: Mapping[str, Mapping[str, Estimate]], progress: RunProgress
) -> None:
    sets = with_wordings(findings.sets)
    tasks = {label: outcomes for label, outcomes in with_tasks(findings.sets).items() if "/" in label}
    progress.console.print(ladder_table(sets, tasks))
    progress.console.print(correlation_table(correlations))
    if findings.best_of:
        progress.console.print(best_of_table(findings.best_of))
