"""The learner's ranks as one thing."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ray
from jaxtyping import Float
from ray import ObjectRef
from torch import Tensor

from eva_rl.actors.deepspeed_engine import Rendezvous
from eva_rl.checkpoints.folder import Folder
from eva_rl.records.adapter import AdapterWeights, LearnerUpdate
from eva_rl.records.calibration import Calibration


class LearnerGroup:
    """DeepSpeed ranks that learn together; every call reaches all ranks."""

    def __init__(self, ranks: Sequence[Any]) -> None:
        self._ranks = list(ranks)

    def join(self) -> AdapterWeights:
        """Brings the ranks into one process group and returns the untouched adapter."""
        address, port = ray.get(self._ranks[0].free_address.remote())
        ready = [
            rank.join.remote(Rendezvous(address=address, port=port, rank=index, num_ranks=len(self._ranks)))
            for index, rank in enumerate(self._ranks)
        ]
        return ray.get(ready)[0]

    def learn(
        self, groups: Sequence[ObjectRef], advantages: Float[Tensor, "groups members *cells"]
    ) -> LearnerUpdate:
        """One training step: rank r learns from the r-th share of the groups.

        Args:
            groups: one reference per rollout group; the rollouts travel straight to the ranks.
            advantages: one per rollout, or per rollout and credit cell.
        """
        share = len(groups) // len(self._ranks)
        updates = [
            rank.learn.remote(advantages[first : first + share], *groups[first : first + share])
            for rank, first in zip(self._ranks, range(0, len(groups), share), strict=True)
        ]
        return ray.get(updates)[0]

    def prepare(self, calibration: Calibration) -> None:
        """Tells every rank what was found out with the base policy."""
        ray.get([rank.prepare.remote(calibration) for rank in self._ranks])

    def deployed(self) -> AdapterWeights:
        """The adapter to evaluate: the moving average where there is one, or the newest."""
        return ray.get([rank.deployed.remote() for rank in self._ranks])[0]

    def save(self, folder: Folder) -> dict[str, str]:
        """Writes the whole state to a folder that all ranks see; returns the SHA-256 of every file."""
        return ray.get([rank.save.remote(folder) for rank in self._ranks])[0]

    def load(self, folder: Folder) -> None:
        """Restores what `save` wrote, whatever number of ranks wrote it."""
        ray.get([rank.load.remote(folder) for rank in self._ranks])

    def export(self, directory: Path) -> None:
        """Writes the adapter for `pipe.load_lora_weights`."""
        ray.get([rank.export.remote(str(directory)) for rank in self._ranks])
