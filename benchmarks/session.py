"""What every comparison shares: settings, models, conditions, a run directory and arms as Ray tasks."""

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray

from benchmarks.arms import Arm, ArmResult, Models, run_arm, run_base
from benchmarks.reporting import arm_rows
from benchmarks.resumption import Row, fingerprint, in_order, key_of
from eva_rl import pretrained
from eva_rl.actors.reward_setup import reward_of
from eva_rl.config.comparison import ComparisonRunSettings
from eva_rl.config.presets import merged
from eva_rl.config.section import ConfigError
from eva_rl.driver.condition_stage import load_conditions
from eva_rl.driver.progress import RunProgress, StageProgress
from eva_rl.driver.provenance import describe_run
from eva_rl.driver.ray_session import ray_session
from eva_rl.driver.run_directory import RunDirectory, open_run_directory
from eva_rl.pretraining.collection import collect_demonstrations
from eva_rl.records.condition import EncodedCondition
from eva_rl.records.evaluation import Outcome
from eva_rl.rewards.reward import KinematicReward
from eva_rl.rewards.terms import TRAINING_TERMS
from eva_rl.simulators.table import tasks_of

FULL = {
    "comparison": {"cpu_seconds": 600.0, "seeds": [0, 1, 2], "num_rescored_rollouts": 2400},
    "evaluation": {"num_conditions": 400},
}
"""What `--comparison.is_full true` changes."""
ARMS_PER_PROCESS = 4
ANCHORED = {"algorithm": {"anchor_weight": 1.0}}
"""Some arms need the demonstrations' latents: conditions are encoded with them for all."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """An open comparison.

    Attributes:
        settings: of the benchmark.
        directory: run directory for results.
        models: shared by all arms.
        conditions: encoded, shared by all arms.
        progress: shows stages.
    """

    settings: ComparisonRunSettings
    directory: RunDirectory
    models: Models
    conditions: Sequence[EncodedCondition]
    progress: RunProgress

    @property
    def file(self) -> Path:
        """Where the results go."""
        named = self.settings.comparison.result
        return Path(named) if named else self.directory.path / "results.json"

    def yardstick(self, penalty_scale: float) -> KinematicReward:
        """The reward that all arms are measured with: the settings' own, at one P0, as evaluators use it."""
        return reward_of(self.settings, penalty_scale=penalty_scale).without(*TRAINING_TERMS)

    def evaluate_base(
        self, stage: StageProgress, *, reward: KinematicReward
    ) -> tuple[tuple[Outcome, ...], tuple[Outcome, ...]]:
        """Outcomes of the base policy on the held-out scenes, and the same read by the judge."""
        on_one_cpu: Any = ray.remote(num_cpus=1)
        base, judged = ray.get(on_one_cpu(run_base).remote(self.settings, self.models, reward=reward))
        stage.advance(len(base))
        return base, judged

    def run_arms(
        self,
        arms: Mapping[str, Arm],
        stage: StageProgress,
        *,
        reward: KinematicReward,
        on_result: Callable[[list[ArmResult]], object] = lambda found: None,
        finished: Collection[tuple[str, int]] = (),
    ) -> list[ArmResult]:
        """Trains every seed of every arm, as many at once as there are CPUs; results in table order.

        The first seed of all arms comes before the second of any: what an interruption leaves is balanced.

        Args:
            arms: all there are; the settings choose.
            stage: shows what is done.
            reward: the yardstick.
            on_result: called after every arm with the results so far, to keep them.
            finished: arms and seeds that an earlier run has trained already.
        """
        comparison = self.settings.comparison
        # a fresh process now and then: DeepSpeed keeps what its engines allocated
        on_one_cpu: Any = ray.remote(num_cpus=1, max_calls=ARMS_PER_PROCESS)
        task = on_one_cpu(run_arm)
        conditions = ray.put(list(self.conditions))
        waiting: dict[ray.ObjectRef, tuple[str, int]] = {}
        names = chosen_arms(arms, comparison.arms)
        for seed in comparison.seeds:
            for name in [name for name in names if (name, seed) not in finished]:
                call = task.remote(
                    name,
                    arms[name].settings(self.settings, seed=seed),
                    conditions,
                    self.models,
                    trainer=arms[name].trainer,
                    cpu_seconds=comparison.cpu_seconds,
                    reward=reward,
                    adapters=(self.directory.path / "adapters").absolute(),
                    evaluation_seed=self.settings.run.seed,
                )
                waiting[call] = (name, seed)
        found: dict[tuple[str, int], ArmResult] = {}
        while waiting:
            (done,), _ = ray.wait(list(waiting), num_returns=1)
            name, seed = waiting.pop(done)
            result = found[name, seed] = ray.get(done)
            stage.advance(
                note=f"{name} (seed {seed}): {len(result.steps)} steps, {result.num_rollouts} rollouts"
            )
            on_result(_in_order(found, names))
        return _in_order(found, names)

    def fingerprints(
        self, arms: Mapping[str, Arm], seeds: Collection[int] = ()
    ) -> dict[tuple[str, int], str]:
        """What decides the result of every arm and seed, in order of the table.

        Args:
            arms: all there are: a file of results also keeps rows that are not asked for this time.
            seeds: beside those of the settings.
        """
        comparison = self.settings.comparison
        return {
            (name, seed): fingerprint(
                arm.settings(self.settings, seed=seed), self.models, cpu_seconds=comparison.cpu_seconds
            )
            for name, arm in arms.items()
            for seed in sorted({*comparison.seeds, *seeds})
        }

    def rows_of(
        self,
        results: Sequence[ArmResult],
        wanted: Mapping[tuple[str, int], str],
        *,
        held: Sequence[Row],
        base: Sequence[Outcome],
        judged_base: Sequence[Outcome],
    ) -> list[Row]:
        """Rows of an earlier run and of this one, in order of the table.

        Args:
            results: of this run so far.
            wanted: from `fingerprints`, of all arms.
            held: rows of the earlier run.
            base: outcomes of the base policy.
            judged_base: the same read by the judge.
        """
        rows = arm_rows(results, base=base, judged_base=judged_base)
        commit = self.provenance()["commit"]
        rows = [{**row, "fingerprint": wanted[key_of(row)], "commit": commit} for row in rows]
        return in_order([*held, *rows], wanted)

    def provenance(self) -> dict[str, Any]:
        """Command, seed, commit, hardware, and hashes of the models."""
        return describe_run(
            seed=self.settings.run.seed,
            model_directories={
                "world_model": from_here(self.models.world_model),
                "idm": from_here(self.models.idm),
            },
        )

    def settings_as_data(self) -> dict[str, Any]:
        """The settings for the file of results."""
        values = self.settings.model_dump(mode="json")
        if judge := values["reward"]["judge"]:
            values["reward"]["judge"] = str(from_here(judge))
        return values

    def write(self, results: Mapping[str, Any]) -> Path:
        """Writes the results with command, seed, commit and hardware; returns the file."""
        file = self.file
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps({"provenance": self.provenance(), **results}, indent=1) + "\n")
        return file


def _in_order(found: Mapping[tuple[str, int], ArmResult], names: Sequence[str]) -> list[ArmResult]:
    """By place in the table, then by seed."""
    return [found[key] for key in sorted(found, key=lambda key: (names.index(key[0]), key[1]))]


def from_here(directory: str | Path) -> Path:
    """Relative where it lies below the current directory: results travel, absolute paths do not."""
    path = Path(directory)
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def chosen_arms(arms: Mapping[str, Arm], names: Sequence[str]) -> list[str]:
    """The arms to train, in order of the table.

    Raises:
        ConfigError: naming the unknown ones.
    """
    unknown = [name for name in names if name not in arms]
    if unknown:
        raise ConfigError([f"comparison.arms: unknown {unknown}; there are: {', '.join(arms)}"])
    return [name for name in arms if not names or name in names]


@contextmanager
def open_comparison(settings: ComparisonRunSettings, stages: Sequence[str]) -> Iterator[Comparison]:
    """Starts Ray, records and encodes conditions, and cleans up at the end.

    Args:
        settings: of the benchmark.
        stages: what follows, for the progress display.
    """
    if settings.comparison.is_full:
        settings = ComparisonRunSettings.model_validate(merged(settings.model_dump(), FULL))
    robot = settings.robot.model_copy(update={"tasks": tasks_of(settings.robot)})
    settings = settings.model_copy(update={"robot": robot})
    directory = open_run_directory(settings)
    names = ["record demonstrations", "encode conditions", *stages]
    with RunProgress(names) as progress, ray_session(settings.cluster):
        demonstrations = Path(settings.data.directory or directory.demonstrations)
        num_episodes = len(settings.robot.tasks) * settings.data.num_episodes_per_task
        with progress.stage(names[0], total=num_episodes) as stage:
            if settings.data.directory is None:
                collect_demonstrations(
                    demonstrations,
                    tasks=settings.robot.tasks,
                    num_episodes_per_task=settings.data.num_episodes_per_task,
                    first_scene_seed=settings.data.first_scene_seed,
                    video=settings.video,
                    on_episode=lambda note: stage.advance(note=note),
                )
        models = Models(
            world_model=str((settings.world_model.directory or pretrained.WORLD_MODEL).resolve()),
            idm=str((settings.idm.directory or pretrained.IDM).resolve()),
            judge=str(settings.reward.judge.resolve()) if settings.reward.judge else None,
        )
        with progress.stage(names[1]) as stage:
            anchored = settings.model_copy(
                update={"algorithm": settings.algorithm.model_copy(update=ANCHORED["algorithm"])}
            )
            conditions, survey = load_conditions(anchored, demonstrations, world_model=models.world_model)
            stage.advance(len(conditions), note=str(survey).splitlines()[0])
        yield Comparison(
            settings=settings, directory=directory, models=models, conditions=conditions, progress=progress
        )
