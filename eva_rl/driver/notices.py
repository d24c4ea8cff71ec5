"""Notices that a machine is about to go: SIGTERM to the driver, or Ray draining a node."""

import signal
import time
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any

from ray._private import worker as ray_worker
from ray.util import placement_group_table

from eva_rl.actors.dispatcher import Dispatcher
from eva_rl.actors.member import Member

LOOK_EVERY_S = 2.0


class StopNoticeError(RuntimeError):
    """The driver was asked to stop; what is in flight returns to the queue of the resumed run."""


class Notices:
    """Turns notices into decisions, between two events of the dispatcher.

    While it is entered, SIGTERM asks to stop at the next safe point instead of ending the process.
    Members on a draining node get no new order, and a checkpoint is due after the training step.

    Args:
        dispatcher: whose members are watched.
        tell: receives a line per notice.
    """

    def __init__(self, dispatcher: Dispatcher, *, tell: Callable[[str], None]) -> None:
        self._dispatcher = dispatcher
        self._tell = tell
        self._is_stopping = False
        self._draining: frozenset[str] = frozenset()
        self._wants_checkpoint = False
        self._looked = 0.0
        self._before: signal.Handlers | Callable | int | None = None

    def __enter__(self) -> "Notices":
        self._before = signal.signal(signal.SIGTERM, self._on_signal)
        self._dispatcher.on_tick.append(self._look)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._dispatcher.on_tick.remove(self._look)
        signal.signal(signal.SIGTERM, self._before)

    def check(self) -> None:
        """Ends the loop when the driver was asked to stop.

        Raises:
            StopNoticeError: it was.
        """
        if self._is_stopping:
            raise StopNoticeError("the driver was asked to stop (SIGTERM)")

    def wants_checkpoint(self) -> bool:
        """Whether a node began to drain since the last checkpoint; asking answers it."""
        wanted, self._wants_checkpoint = self._wants_checkpoint, False
        return wanted

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._is_stopping = True

    def _look(self) -> None:
        now = time.monotonic()
        if now - self._looked < LOOK_EVERY_S:
            return
        self._looked = now
        # what Ray Serve reads for the same purpose; there is no public call in Ray 2.60
        gcs_client: Any = ray_worker.global_worker.gcs_client  # pyright: ignore[reportAttributeAccessIssue]
        draining = frozenset(gcs_client.get_draining_nodes())
        if not draining - self._draining:
            return
        self._draining = draining
        self._wants_checkpoint = True
        leaving = [member for member in self._members() if _node_of(member) in draining]
        for member in leaving:
            member.is_draining = True
        names = ", ".join(map(str, leaving)) or "no generator or scorer"
        self._tell(f"a machine is about to go; {names} on it; a checkpoint follows the training step")

    def _members(self) -> list[Member]:
        return [member for pool in self._dispatcher.pools.values() for member in pool.members]


def _node_of(member: Member) -> str | None:
    table = placement_group_table(member.place.group)
    return table["bundles_to_node_id"].get(member.place.bundle)
