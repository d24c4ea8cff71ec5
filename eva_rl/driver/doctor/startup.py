"""The doctor's checks beside a run that has just started: its first step is watched, nothing waits for it.

What needs the running actors is read off the first training step itself; what needs models is done with
copies on the CPU, in a process of lowest priority. A check that fails ends the run at its next training step.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import ray
from jaxtyping import Float
from ray import ObjectRef
from torch import Tensor

from eva_rl.actors.learner_group import LearnerGroup
from eva_rl.actors.roles import Roles
from eva_rl.checkpoints.folder import Folder
from eva_rl.config.align import AlignSettings
from eva_rl.driver.doctor.background_bench import BackgroundBench
from eva_rl.driver.doctor.check import Result, SelfTestError
from eva_rl.driver.doctor.checks import judged, not_reached
from eva_rl.driver.doctor.display import results_as_data
from eva_rl.driver.doctor.evidence import RatioEvidence, StepEvidence
from eva_rl.records.adapter import LearnerUpdate
from eva_rl.records.calibration import Calibration
from eva_rl.records.condition import EncodedCondition
from eva_rl.records.episode import EpisodeRef

RESULTS_FILE = "self_test.json"
MAX_COPIED_BYTES = 500 * 10**6
"""Of the world model on disk: a larger one is not copied beside a running job."""
LAST_WAIT_S = 120.0
"""For checks that are still going on when the run is over."""


class StartupSelfTest:
    """Collects evidence while a run takes its first steps, and judges it as it comes.

    Args:
        settings: of the run.
        world_model: pipeline directory.
        idm: inverse dynamics model directory.
    """

    def __init__(self, settings: AlignSettings, *, world_model: str, idm: str) -> None:
        self._settings = settings
        self._bench: Any = None
        self._pending: list[ObjectRef] = []
        self.results: list[Result] = []
        if sum(file.stat().st_size for file in Path(world_model).rglob("*.safetensors")) <= MAX_COPIED_BYTES:
            self._bench = ray.remote(BackgroundBench).options(num_cpus=0).remote(settings, world_model, idm)

    def begin(self, episodes: Sequence[EpisodeRef], condition: EncodedCondition) -> None:
        """Orders what can be looked at without the run's actors; does not wait.

        Args:
            episodes: that the run learns from.
            condition: any of the run.
        """
        if self._bench is None:
            return
        self._pending += [self._bench.recorded.remote(list(episodes)), self._bench.pushes.remote(condition)]
        if not self._has_live_ratio:
            self._pending.append(self._bench.ratio.remote(condition))

    def observe_step(
        self,
        groups: Sequence[ObjectRef],
        weights: Float[Tensor, "groups members *cells"],
        *,
        calibration: Calibration,
        update: LearnerUpdate,
        learner: LearnerGroup,
    ) -> None:
        """Takes the untouched policy's first training step in.

        Raises:
            SelfTestError: the ranks do not agree, or the rollouts are not of the policy that learned.
        """
        evidence: list[object] = [StepEvidence(versions=learner.versions())]
        if self._has_live_ratio:
            deviation = update.metrics["learner/max_ratio_deviation"]
            evidence.append(RatioEvidence(max_deviation=deviation, settings=self._settings))
        self._judge(evidence)
        if self._bench is not None and self._settings.algorithm.inner_epochs == 1:
            self._pending.append(self._bench.update.remote(weights, calibration, update.weights, *groups))

    def look(self, *, wait_s: float = 0.0) -> None:
        """Judges what has become known.

        Args:
            wait_s: how long to wait for what has not.

        Raises:
            SelfTestError: a check failed.
        """
        if not self._pending:
            return
        ready, self._pending = ray.wait(self._pending, num_returns=len(self._pending), timeout=wait_s)
        for evidence in ray.get(ready):
            self._judge(evidence)

    def stop(self) -> None:
        """Ends the background process."""
        if self._bench is not None:
            ray.kill(self._bench)

    def report(self, file: Path) -> str:
        """Writes every result and says in a line how many there are."""
        results = self.results + not_reached(self.results)
        file.write_text(json.dumps(results_as_data(results), indent=1) + "\n")
        verdicts = [result.finding.passed for result in results]
        return (
            f"self-test: {verdicts.count(True)} checks passed, {verdicts.count(False)} failed, "
            f"{verdicts.count(None)} had nothing to look at; {file}"
        )

    @property
    def _has_live_ratio(self) -> bool:
        """Whether the first step's own ratios are those of its first replay."""
        algorithm = self._settings.algorithm
        return algorithm.learns_from_steps and algorithm.inner_epochs == 1

    def _judge(self, evidence: Sequence[object]) -> None:
        results = judged(evidence)
        self.results += results
        failed = [result for result in results if result.finding.passed is False]
        if failed:
            raise SelfTestError(failed)


class WatchedLearner(LearnerGroup):
    """A learner whose first step is shown to the self-test, and that stops when a check has failed.

    Args:
        learner: is watched; this one takes its place.
        self_test: has begun.
    """

    def __init__(self, learner: LearnerGroup, self_test: StartupSelfTest) -> None:
        vars(self).update(vars(learner))  # the same ranks, places and deadline
        self._self_test = self_test
        self._calibration: Calibration | None = None
        self._is_untouched = True

    def prepare(self, calibration: Calibration) -> None:
        """Tells every rank, and remembers it for the plain step."""
        self._calibration = calibration
        super().prepare(calibration)

    def load(self, folder: Folder) -> None:
        """Restores; the next step is not the optimiser's first, so there is nothing plain to compare with."""
        self._is_untouched = False
        super().load(folder)

    def learn(
        self, groups: Sequence[ObjectRef], advantages: Float[Tensor, "groups members *cells"]
    ) -> LearnerUpdate:
        """One training step, then a look at what the self-test has found.

        Raises:
            SelfTestError: a check failed.
        """
        update = super().learn(groups, advantages)
        if self._is_untouched and self._calibration is not None:
            self._is_untouched = False
            self._self_test.observe_step(
                groups, advantages, calibration=self._calibration, update=update, learner=self
            )
        self._self_test.look()
        return update


@contextmanager
def self_tested(
    settings: AlignSettings,
    roles: Roles,
    *,
    models: tuple[str, str],
    episodes: Sequence[EpisodeRef],
    condition: EncodedCondition,
    directory: Path,
    tell: Callable[[str], None],
) -> Iterator[Roles]:
    """Runs the start-up checks beside whatever the block does with the roles.

    Args:
        settings: `schedule.self_test` switches it off.
        roles: of the run.
        models: directories of world model and inverse dynamics model.
        episodes: that the run learns from.
        condition: any of the run.
        directory: the run's; receives RESULTS_FILE.
        tell: receives one line at the end.

    Raises:
        SelfTestError: a check failed.
    """
    if not settings.schedule.self_test:
        yield roles
        return
    world_model, idm = models
    self_test = StartupSelfTest(settings, world_model=world_model, idm=idm)
    try:
        self_test.begin(episodes, condition)
        yield replace(roles, learner=WatchedLearner(roles.learner, self_test))
        self_test.look(wait_s=LAST_WAIT_S)
    finally:
        self_test.stop()
        tell(self_test.report(directory / RESULTS_FILE))
