"""The workbench of a running job: a process of its own that takes only the time nobody else wants."""

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the model libraries are loaded by the process itself, after it has stepped back
    from jaxtyping import Float
    from torch import Tensor

    from eva_rl.config.align import AlignSettings
    from eva_rl.records.adapter import AdapterWeights
    from eva_rl.records.calibration import Calibration
    from eva_rl.records.condition import EncodedCondition
    from eva_rl.records.episode import EpisodeRef
    from eva_rl.records.rollout import RolloutGroup

LOWEST_PRIORITY = 19
NUM_CLIPS = 8


class BackgroundBench:
    """A plain class around `Workbench`, for Ray; works on the CPU, with copies of the run's models.

    Every method returns the records of evidence that it has come by.

    Args:
        settings: of the run.
        world_model: pipeline directory.
        idm: inverse dynamics model directory.
    """

    def __init__(self, settings: "AlignSettings", world_model: str, idm: str) -> None:
        os.nice(LOWEST_PRIORITY)
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
        from eva_rl.driver.doctor.workbench import Workbench

        self._settings = settings
        self._bench = Workbench(settings, world_model=world_model, idm=idm)

    def recorded(self, episodes: Sequence["EpisodeRef"]) -> "Sequence[object]":
        """Looks at reward and inverse dynamics model with the run's own recordings."""
        from eva_rl.driver.doctor.recorded_clips import clips_of

        return self._bench.recorded(clips_of(episodes, self._settings, number=NUM_CLIPS))

    def pushes(self, condition: "EncodedCondition") -> "Sequence[object]":
        """Sends adapters withheld, corrupted and whole."""
        return [self._bench.pushes(condition)]

    def ratio(self, condition: "EncodedCondition") -> "Sequence[object]":
        """Samples as generators do, replays as the learner does."""
        return [self._bench.ratio(condition)]

    def update(
        self,
        weights: "Float[Tensor, 'groups members *cells']",
        calibration: "Calibration",
        after: "AdapterWeights",
        *groups: "RolloutGroup",
    ) -> "Sequence[object]":
        """Repeats the run's first step in plain torch."""
        return [self._bench.update(groups, weights, calibration=calibration, after=after.values)]
