"""When a run saves itself, and what it does when it cannot."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path

import yaml

from eva_rl.actors.learner_group import LearnerGroup
from eva_rl.checkpoints.folder import Folder
from eva_rl.checkpoints.manifest import CheckpointError
from eva_rl.checkpoints.retention import Retention
from eva_rl.checkpoints.store import CheckpointStore
from eva_rl.config.align import AlignSettings
from eva_rl.config.schedule import ScheduleSettings
from eva_rl.config.section import ConfigError
from eva_rl.data.storage import filesystem_of
from eva_rl.driver.run_directory import RunDirectory
from eva_rl.driver.run_state import RunState

Clock = Callable[[], float]


def store_of_run(directory: RunDirectory) -> CheckpointStore:
    """The checkpoints of a run that is there, for reading."""
    schedule = yaml.safe_load(directory.settings.read_text())["schedule"]
    return CheckpointStore(_folder(schedule.get("checkpoint_directory"), directory.checkpoints), keep=1)


def open_store(settings: AlignSettings, default: Path) -> CheckpointStore:
    """The checkpoints of a run: in the directory or store that the settings name, or at the default.

    Raises:
        ConfigError: a run that is not to be resumed would write over another run's checkpoints.
    """
    schedule = settings.schedule
    folder = _folder(schedule.checkpoint_directory, default)
    retention = Retention(
        num_newest=schedule.keep_checkpoints,
        num_best=schedule.keep_best_checkpoints,
        metric=schedule.best_metric,
        better=schedule.best_is,
    )
    store = CheckpointStore(folder, keep=retention)
    if not settings.run.resume and (steps := store.training_steps()):
        raise ConfigError(
            [
                f"schedule.checkpoint_directory {folder} holds checkpoints of training steps {steps}; choose "
                "another, or continue that run with --run.resume auto"
            ]
        )
    return store


def _folder(location: str | None, default: Path) -> Folder:
    return Folder.local(default) if location is None else Folder(*filesystem_of(location))


class Saving:
    """Saves at intervals, at the end, and before the machines are taken away.

    A checkpoint that cannot be written (disk full, store unreachable) costs nothing but the time: the one
    before is whole, and the run goes on until too many in a row have failed.

    Args:
        settings: intervals, deadline, and how many failures are borne.
        warn: receives a sentence about a checkpoint that could not be written.
        started: when the deadline's time began, on the clock; default: now.
        clock: seconds.
    """

    def __init__(
        self,
        settings: ScheduleSettings,
        *,
        warn: Callable[[str], None],
        started: float | None = None,
        clock: Clock = time.monotonic,
    ) -> None:
        self._settings = settings
        self._warn = warn
        self._clock = clock
        self._started = self._step_began = clock() if started is None else started
        self._longest_step_s = self._longest_save_s = 0.0
        self._num_failed = 0

    def after_step(
        self,
        state: RunState,
        learner: LearnerGroup,
        metrics: Mapping[str, float],
        *,
        is_urgent: bool = False,
    ) -> None:
        """Saves if it is time to.

        Args:
            state: after the training step.
            learner: whose ranks write their own files.
            metrics: of the training step.
            is_urgent: a machine is about to go.

        Raises:
            CheckpointError: too many in a row could not be written, or the last one of the run.
        """
        now = self._clock()
        self._longest_step_s = max(self._longest_step_s, now - self._step_began)
        if is_urgent or self.is_due(state.training_step, now=now):
            self.save(state, learner, metrics)
        self._step_began = self._clock()

    def is_due(self, training_step: int, *, now: float) -> bool:
        """Whether a run that has taken `training_step` steps saves now."""
        settings = self._settings
        if (
            training_step % settings.checkpoint_every_steps == 0
            or training_step == settings.num_training_steps
        ):
            return True
        if settings.deadline_s is None:
            return False
        left_s = self._started + settings.deadline_s - now
        return left_s < self._longest_step_s + self._longest_save_s

    def save(
        self, state: RunState, learner: LearnerGroup, metrics: Mapping[str, float] | None = None
    ) -> None:
        """Saves now.

        Raises:
            CheckpointError: too many in a row could not be written, or the last one of the run.
        """
        began = self._clock()
        try:
            state.save(learner, metrics=metrics)
        except OSError as error:
            self._num_failed += 1
            self._bear(error, state.training_step)
        else:
            self._num_failed = 0
        self._longest_save_s = max(self._longest_save_s, self._clock() - began)

    def _bear(self, error: OSError, training_step: int) -> None:
        allowed = self._settings.max_failed_saves
        reason = str(getattr(error, "cause", error)).strip().splitlines()[-1]
        sentence = f"the checkpoint of training step {training_step} could not be written: {reason}"
        is_last = training_step == self._settings.num_training_steps
        if is_last or self._num_failed > allowed:
            raise CheckpointError(
                f"{sentence}; {self._num_failed} in a row, schedule.max_failed_saves allows {allowed} and "
                "none at the end. Make room or mend the store, then continue with --run.resume auto: the "
                "checkpoint before is whole"
            ) from None
        self._warn(f"{sentence}; the run goes on, the checkpoint before is whole")
