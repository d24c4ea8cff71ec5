"""Which conditions each training step uses: a pure function of the seed and the step."""

from collections.abc import Sequence

import numpy as np

from eva_rl.records.condition import EncodedCondition


class ConditionSchedule:
    """Walks through the conditions epoch by epoch, each epoch in its own seeded order.

    There is no cursor to save: batch k is computed from k, so a resumed run continues exactly.
    """

    def __init__(self, conditions: Sequence[EncodedCondition], *, groups_per_step: int, seed: int) -> None:
        if not conditions:
            raise ValueError("there are no conditions to align on; the data holds no readable episode")
        self._conditions = list(conditions)
        self._groups_per_step = groups_per_step
        self._seed = seed

    def batch(self, training_step: int) -> list[EncodedCondition]:
        """The `groups_per_step` conditions of one training step."""
        first = training_step * self._groups_per_step
        return [self._at(position) for position in range(first, first + self._groups_per_step)]

    def _at(self, position: int) -> EncodedCondition:
        epoch, index = divmod(position, len(self._conditions))
        order = np.random.default_rng([self._seed, epoch]).permutation(len(self._conditions))
        return self._conditions[order[index]]
