"""Which conditions each training step uses: a pure function of the seed and the step."""

import hashlib
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

from eva_rl.records.condition import EncodedCondition


class ConditionSchedule:
    """Walks through the conditions epoch by epoch, each epoch in its own seeded order.

    Batch k is computed from k, so a resumed run continues exactly if it has the same conditions; their
    fingerprint says so.
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

    def provenance(self) -> dict[str, Any]:
        """What the conditions are: their number and a hash of all of them, in order."""
        return {"num_conditions": len(self._conditions), "fingerprint": self._fingerprint}

    @cached_property
    def _fingerprint(self) -> str:
        # Of what was recorded, not of what a codec made of it: that may differ in its last bits elsewhere.
        digest = hashlib.sha256()
        for condition in (encoded.condition for encoded in self._conditions):
            digest.update(f"{condition.condition_id}\0{condition.instruction}\0".encode())
            digest.update(condition.first_frame.tobytes())
            digest.update(condition.start_joints.tobytes())
            if condition.demonstrated_actions is not None:
                digest.update(condition.demonstrated_actions.tobytes())
        return digest.hexdigest()[:16]

    def _at(self, position: int) -> EncodedCondition:
        epoch, index = divmod(position, len(self._conditions))
        order = np.random.default_rng([self._seed, epoch]).permutation(len(self._conditions))
        return self._conditions[order[index]]
