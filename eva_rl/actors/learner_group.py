"""The learner's ranks as one thing."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import ray
from jaxtyping import Float
from ray import ObjectRef
from ray.exceptions import ObjectLostError, RayActorError, RayTaskError
from torch import Tensor

from eva_rl.actors.deepspeed_engine import Rendezvous
from eva_rl.actors.member import Place
from eva_rl.checkpoints.folder import Folder
from eva_rl.records.adapter import AdapterVersion, AdapterWeights, LearnerUpdate
from eva_rl.records.calibration import Calibration

ALIVE_WITHIN_S = 10.0
"""A rank that does not answer so long after its sibling failed is taken for dead."""


class LearnerLostError(RuntimeError):
    """A rank died, hung, or lost what it was to learn from: the others cannot go on without it."""


class Collect(Protocol):
    """Waits for references while everything else goes on; `Dispatcher.collect`."""

    def __call__(self, references: Sequence[ObjectRef], *, what: str, timeout_s: float) -> list[Any]:
        """Values of the references."""
        ...


class LearnerGroup:
    """DeepSpeed ranks that learn together; every call reaches all ranks.

    Args:
        start: starts a rank in a place, without waiting.
        places: one per rank.
        collect: waits for the ranks.
        deadline_s: of any one call.

    Attributes:
        ranks: actor handles, in the order of their places.

    Every method that waits raises LearnerLostError when a rank was lost; `restart`, `join` and `load` follow.
    """

    def __init__(
        self,
        start: Callable[[Place], Any],
        places: Sequence[Place],
        *,
        collect: Collect,
        deadline_s: float,
    ) -> None:
        self._start = start
        self._places = list(places)
        self._collect = collect
        self._deadline_s = deadline_s
        self.ranks = [start(place) for place in places]

    def restart(self) -> None:
        """Stops whatever is left of the ranks and starts them anew: they know nothing."""
        for rank in self.ranks:
            ray.kill(rank, no_restart=True)
        self.ranks = [self._start(place) for place in self._places]

    def join(self) -> AdapterWeights:
        """Brings the ranks into one process group and returns the untouched adapter."""
        (address, port), *_ = self._wait([self.ranks[0].free_address.remote()], "the learner's models")
        ready = [
            rank.join.remote(Rendezvous(address=address, port=port, rank=index, num_ranks=len(self.ranks)))
            for index, rank in enumerate(self.ranks)
        ]
        return self._wait(ready, "the learner's ranks to meet")[0]

    def learn(
        self, groups: Sequence[ObjectRef], advantages: Float[Tensor, "groups members *cells"]
    ) -> LearnerUpdate:
        """One training step: rank r learns from the r-th share of the groups.

        Args:
            groups: one reference per rollout group; the rollouts travel straight to the ranks.
            advantages: one per rollout, or per rollout and credit cell.
        """
        share = len(groups) // len(self.ranks)
        updates = [
            rank.learn.remote(advantages[first : first + share], *groups[first : first + share])
            for rank, first in zip(self.ranks, range(0, len(groups), share), strict=True)
        ]
        return self._wait(updates, "the learner's update")[0]

    def prepare(self, calibration: Calibration) -> None:
        """Tells every rank what was found out with the base policy."""
        self._on_all("prepare", calibration)

    def versions(self) -> list[AdapterVersion]:
        """The adapter in every rank's live weights: the same one, unless gradients were not averaged."""
        return self._on_all("version")

    def deployed(self) -> AdapterWeights:
        """The adapter to evaluate: the moving average where there is one, or the newest."""
        return self._on_all("deployed")[0]

    def save(self, folder: Folder) -> dict[str, str]:
        """Writes the whole state to a folder that all ranks see; returns the SHA-256 of every file."""
        return self._on_all("save", folder)[0]

    def load(self, folder: Folder) -> None:
        """Restores what `save` wrote, whatever number of ranks wrote it."""
        self._on_all("load", folder)

    def export(self, directory: Path) -> None:
        """Writes the adapter for `pipe.load_lora_weights`."""
        self._on_all("export", str(directory))

    def _on_all(self, method: str, *arguments: object) -> list[Any]:
        calls = [getattr(rank, method).remote(*arguments) for rank in self.ranks]
        return self._wait(calls, f"the learner ({method})")

    def _wait(self, calls: Sequence[ObjectRef], what: str) -> list[Any]:
        try:
            return self._collect(calls, what=what, timeout_s=self._deadline_s)
        except (RayActorError, ObjectLostError, TimeoutError) as error:
            if isinstance(error, RayActorError) and error.actor_init_failed:
                raise
            raise LearnerLostError(f"{what}: {_first_line(error)}") from error
        except RayTaskError as error:
            # when a rank dies in the middle of a collective, its siblings fail first, each in its own words
            if self._all_alive():
                raise
            raise LearnerLostError(f"{what}: a rank died ({_first_line(error)})") from error

    def _all_alive(self) -> bool:
        try:
            ray.get([rank.__ray_ready__.remote() for rank in self.ranks], timeout=ALIVE_WITHIN_S)
        except (RayActorError, TimeoutError):
            return False
        return True


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
