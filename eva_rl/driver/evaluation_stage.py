"""Held-out evaluation over the evaluator actors: before, after, and the ladder below the world model."""

from collections.abc import Sequence

import ray

from eva_rl.config.align import AlignSettings
from eva_rl.driver.evaluator_pool import EvaluatorPool
from eva_rl.driver.progress import StageProgress
from eva_rl.driver.run_directory import RunDirectory
from eva_rl.evaluation.held_out import planned_scenes, recorded_scenes, split_recorded
from eva_rl.evaluation.quantities import summarise
from eva_rl.evaluation.rungs import POLICY_RUNG, RUNGS
from eva_rl.evaluation.store import Side, write_clips, write_outcomes, write_reports
from eva_rl.records.adapter import AdapterWeights
from eva_rl.records.episode import EpisodeRef
from eva_rl.records.evaluation import HeldOutScene, Outcome
from eva_rl.simulators.table import simulator_of


class EvaluationStage:
    """Evaluates on the same held-out scenes whenever it is asked to.

    Args:
        settings: of the run.
        directory: results go to its `evaluation/`.
        episodes: usable recorded ones; those held out are evaluated where no simulator executes.
        pool: of evaluators.
    """

    def __init__(
        self,
        settings: AlignSettings,
        directory: RunDirectory,
        *,
        episodes: Sequence[EpisodeRef],
        pool: EvaluatorPool,
    ) -> None:
        self._settings = settings.evaluation
        self._directory = directory.evaluation
        self._pool = pool
        self._scenes = _scenes_of(settings, episodes, pool)

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
        outcomes = self._pool.evaluate(self._scenes, POLICY_RUNG, progress, adapter=reference)
        write_reports(self._directory / f"{side}.json", {side: summarise(POLICY_RUNG, outcomes)})
        if self._settings.num_videos:
            shown = self._scenes[: self._settings.num_videos]
            clips = self._pool.clips_for_report(shown, adapter=reference)
            write_clips(self._directory / "clips", clips, side=side)
        write_outcomes(self._directory / f"{side}.parquet", outcomes)  # last: it says that the rest is there
        return outcomes

    def evaluate_ladder(self, progress: StageProgress) -> None:
        """Evaluates the rungs below the world model, so that each loss can be told apart."""
        scenes = self._scenes[: self._settings.num_ladder_conditions]
        reports = {
            rung: summarise(rung, self._pool.evaluate(scenes, rung, progress))
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


def _scenes_of(
    settings: AlignSettings, episodes: Sequence[EpisodeRef], pool: EvaluatorPool
) -> list[HeldOutScene]:
    """Held-out episodes where nothing is executed; otherwise scenes of the simulator."""
    simulator, tasks = simulator_of(settings.robot), settings.robot.tasks
    if not simulator.executes:
        return recorded_scenes(split_recorded(episodes, settings)[1], settings.evaluation)
    if simulator.find_seeds is None:
        return planned_scenes(tasks, settings.evaluation, video=settings.video, robot=settings.robot)
    known = tasks or tuple(sorted({episode.task for episode in episodes}))
    return pool.search_scenes(known, settings.evaluation).scenes
