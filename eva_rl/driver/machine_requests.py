"""What a run asks of the cluster's autoscaler, and that nothing of it outlives the run."""

import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

from ray.autoscaler.sdk import request_resources

from eva_rl.actors.capacity import RoleDemand


class MachineRequest:
    """The machines that the autoscaler is asked to have, beside what waits for them.

    Ray remembers one request per cluster, and remembers it until the next one: the autoscaler starts what is
    missing at once and stops none of these machines, however idle.
    """

    def __init__(self) -> None:
        self._asked: tuple[RoleDemand, ...] = ()

    def ask(self, demands: Sequence[RoleDemand]) -> None:
        """Asks for room for all these members; replaces what was asked before."""
        if tuple(demands) == self._asked:
            return
        self._asked = tuple(demands)
        members = [demand for demand in demands for _ in range(demand.count)]
        request_resources(
            bundles=[dict(demand.bundle) for demand in members],
            bundle_label_selectors=[dict(demand.labels) for demand in members],
        )

    def clear(self) -> None:
        """Takes every request back: idle machines may go."""
        self._asked = ()
        request_resources(bundles=[])


@contextmanager
def machine_request() -> Iterator[MachineRequest]:
    """A request that is taken back on every way out: the end, an exception, Ctrl-C, SIGTERM.

    A driver that is killed outright cannot take anything back; the request of the next run replaces it.
    """
    request = MachineRequest()
    request.clear()
    with _exit_on_sigterm():
        try:
            yield request
        finally:
            request.clear()


@contextmanager
def _exit_on_sigterm() -> Iterator[None]:
    """Turns SIGTERM into SystemExit, so that blocks are left in order; only a main thread can."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def leave(number: int, frame: FrameType | None) -> None:
        sys.exit(128 + number)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
