"""One training step with every part of a run laid open: how the parts fit together, and whether they do."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import ray

from eva_rl import pretrained
from eva_rl.actors.encoder import encode_conditions
from eva_rl.actors.learner import Learner
from eva_rl.actors.scorer import Scorer
from eva_rl.config.align import AlignSettings
from eva_rl.data.conditions import conditions_from_windows
from eva_rl.data.windows import EpisodeWindow
from eva_rl.driver.calibration import calibrate
from eva_rl.driver.credit import CreditAssignment
from eva_rl.driver.doctor.check import Result
from eva_rl.driver.doctor.checks import judged, not_reached
from eva_rl.driver.doctor.learner_step import is_learned, join_ranks, step_on_ranks
from eva_rl.driver.doctor.local_rollouts import LocalRollouts
from eva_rl.driver.doctor.recorded_clips import recorded_clips
from eva_rl.driver.doctor.workbench import Workbench
from eva_rl.records.condition import EncodedCondition

MICRO_BATCHES = 2
"""Per rank: enough to see that gradients accumulate."""
DEADLINE_S = 300.0


class Examination:
    """A run's models and settings on a batch that is as small as its learner's ranks allow.

    The learner's ranks are Ray actors with the run's resources; everything else is in this process, on
    whatever device it sees. Ray is running.

    Args:
        settings: of the run.
        deadline_s: for the training step; ranks that are not in step wait for each other without end.
    """

    def __init__(self, settings: AlignSettings, *, deadline_s: float = DEADLINE_S) -> None:
        self.settings = settings = examined_settings(settings)
        self._deadline_s = deadline_s
        models = [
            str((given or shipped).resolve())
            for given, shipped in (
                (settings.world_model.directory, pretrained.WORLD_MODEL),
                (settings.idm.directory, pretrained.IDM),
            )
        ]
        self._world_model, self._idm = models
        resources = {"num_cpus": settings.learner.num_cpus, "num_gpus": settings.learner.num_gpus}
        rank: Any = ray.remote(Learner).options(**resources)
        # started first: they load their models while this process loads its own
        self.ranks = [rank.remote(settings, *models) for _ in range(settings.learner.num_ranks)]
        self.workbench = Workbench(settings, world_model=self._world_model, idm=self._idm)
        self.scorer = Scorer(settings, *models)

    def results(self, tell: Callable[[str], None] = lambda line: None) -> list[Result]:
        """Judges every check.

        Args:
            tell: receives what is being done.
        """
        results = judged(self._evidence(tell))
        return results + not_reached(results)

    def stop(self) -> None:
        """Stops the learner's ranks."""
        for rank in self.ranks:
            ray.kill(rank)

    def _evidence(self, tell: Callable[[str], None]) -> Iterator[object]:
        """What the checks judge by, in the order in which a run comes by it."""
        settings, workbench = self.settings, self.workbench
        tell("reading recorded video")
        clips = recorded_clips(settings, number=settings.algorithm.groups_per_step)
        yield from workbench.recorded(clips)

        tell("sampling with the first policy")
        conditions = self._encoded(clips)
        rollouts = LocalRollouts(workbench.generator, self.scorer, conditions)
        calibration = calibrate(settings, rollouts, conditions[0])
        self.scorer.set_penalty_scale(calibration.penalty_scale)
        join_ranks(self.ranks, calibration)
        groups, scores = rollouts.batch(0)
        credit = CreditAssignment(settings, calibration)
        weights = credit.weights(credit.advantages(scores), scores)

        tell("learning, with DeepSpeed and in plain torch")
        update, step = step_on_ranks(self.ranks, groups, weights, deadline_s=self._deadline_s)
        yield step
        if update is None:
            return
        yield workbench.update(groups, weights, calibration=calibration, after=update.weights.values)

        tell("pushing adapters")
        pushes = workbench.pushes(conditions[0])
        yield replace(pushes, withheld_is_learned=is_learned(self.ranks, groups, weights))
        yield workbench.ratio(conditions[0])

    def _encoded(self, clips: Sequence[EpisodeWindow]) -> list[EncodedCondition]:
        """Conditions of the clips, as many as the batch needs: all different if there are enough clips."""
        settings = self.settings
        share = settings.data.unseen_instruction_share
        encoded = encode_conditions(
            self._world_model,
            conditions_from_windows(clips, seed=settings.run.seed, unseen_instruction_share=share),
            demonstrations=[clip.frames for clip in clips] if settings.algorithm.anchor_weight > 0 else None,
            with_empty_text=settings.sampling.guidance > 1,
            with_history_noise=settings.sampling.history_guidance > 0,
            settings=settings.world_model,
        )
        return [encoded[index % len(encoded)] for index in range(settings.algorithm.groups_per_step)]


def examined_settings(settings: AlignSettings) -> AlignSettings:
    """The run's settings for one small step: two micro batches per rank, one update, nothing ahead."""
    learner = settings.learner
    batch = {"groups_per_step": learner.num_ranks * MICRO_BATCHES * learner.groups_per_micro_batch}
    return settings.model_copy(
        update={
            "algorithm": settings.algorithm.model_copy(update={**batch, "inner_epochs": 1}),
            "schedule": settings.schedule.model_copy(update={"rollouts_ahead": 0}),
        }
    )
