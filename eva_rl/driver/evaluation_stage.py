"""Held-out evaluation over the evaluator actors: before, after, and the ladder below the world model."""

from collections.abc import Sequence
from typing import Any

import ray

from eva_rl.actors.pool import start_actors
from eva_rl.actors.roles import Roles
from eva_rl.config.align import AlignSettings
from eva_rl.driver.progress import StageProgress
from eva_rl.driver.run_directory import RunDirectory
from eva_rl.evaluation.evaluator import Evaluator
from eva_rl.evaluation.held_out import held_out_scenes
from eva_rl.evaluation.quantities import summarise
from eva_rl.evaluation.rungs import RUNGS
from eva_rl.evaluation.store import Side, write_clips, write_outcomes, write_reports
from eva_rl.records.adapter import AdapterWeights
from eva_rl.records.evaluation import HeldOutScene, Outcome
from eva_rl.rewards.reward import KinematicReward

POLICY_RUNG = "world_model"


class EvaluationStage:
    """Evaluates on the same held-out scenes whenever it is asked to.

    Args:
        settings: of the run.
        roles: whose bundles for evaluators are used.
        directory: results go to its `evaluation/`.
        world_model: pipeline directory.
        idm: inverse dynamics model directory.
        reward: the training reward.
    """

    def __init__(
        self,
        settings: AlignSettings,
        roles: Roles,
        directory: RunDirectory,
        *,
        world_model: str,
        idm: str,
        reward: KinematicReward,
    ) -> None:
        self._settings = settings.evaluation
        self._directory = directory.evaluation
        self._scenes = held_out_scenes(settings.robot.tasks, settings.evaluation)
        self._evaluators = start_actors(
            Evaluator,
            roles.bundles.evaluators,
            group=roles.bundles.group,
            resources=settings.evaluation,
            arguments=(settings, world_model),
            keywords={"idm_directory": idm, "reward": reward},
        )

    def evaluate_policy(
        self, side: Side, adapter: AdapterWeights | None, progress: StageProgress
    ) -> list[Outcome]:
        """Executes what the policy imagines on every held-out scene; writes outcomes and the report's clips.

        Args:
            side: which files are written.
            adapter: of the policy; None is the base policy.
            progress: counts scenes.
        """
        reference = None if adapter is None else ray.put(adapter)
        outcomes = self._evaluate(self._scenes, POLICY_RUNG, reference, progress)
        write_outcomes(self._directory / f"{side}.parquet", outcomes)
        write_reports(self._directory / f"{side}.json", {side: summarise(POLICY_RUNG, outcomes)})
        if self._settings.num_videos:
            shown = self._scenes[: self._settings.num_videos]
            clips = ray.get(self._evaluators[0].clips_for_report.remote(shown, adapter=reference))
            write_clips(self._directory / "clips", clips, side=side)
        return outcomes

    def evaluate_ladder(self, progress: StageProgress) -> None:
        """Evaluates the rungs below the world model, so that each loss can be told apart."""
        scenes = self._scenes[: self._settings.num_ladder_conditions]
        reports = {
            rung: summarise(rung, self._evaluate(scenes, rung, None, progress))
            for rung in RUNGS
            if rung != POLICY_RUNG
        }
        write_reports(self._directory / "ladder.json", reports)

    @property
    def num_policy_calls(self) -> int:
        """Progress counts of one `evaluate_policy`."""
        return len(self._scenes)

    @property
    def num_ladder_calls(self) -> int:
        """Progress counts of one `evaluate_ladder`."""
        return (len(RUNGS) - 1) * min(self._settings.num_ladder_conditions, len(self._scenes))

    def _evaluate(
        self,
        scenes: Sequence[HeldOutScene],
        rung: str,
        adapter: ray.ObjectRef | None,
        progress: StageProgress,
    ) -> list[Outcome]:
        """Deals scenes to whichever evaluator is free; results come back in the scenes' order."""
        size = self._settings.conditions_per_call
        waiting = {first: list(scenes[first : first + size]) for first in range(0, len(scenes), size)}
        running: dict[ray.ObjectRef, tuple[int, Any]] = {}
        finished: dict[int, list[Outcome]] = {}
        free = list(self._evaluators)
        while waiting or running:
            while waiting and free:
                first = min(waiting)
                evaluator = free.pop()
                call = evaluator.evaluate_scenes.remote(waiting.pop(first), rung, adapter=adapter)
                running[call] = (first, evaluator)
            (done,), _ = ray.wait(list(running), num_returns=1)
            first, evaluator = running.pop(done)
            finished[first] = ray.get(done)
            free.append(evaluator)
            success = sum(outcome.success for part in finished.values() for outcome in part)
            count = sum(len(part) for part in finished.values())
            progress.advance(len(finished[first]), note=f"{rung}: {success}/{count} succeed")
        return [outcome for first in sorted(finished) for outcome in finished[first]]
