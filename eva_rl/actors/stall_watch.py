"""Says what a waiting run waits for, and ends one in which nothing happens any more."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from eva_rl.config.faults import FaultSettings


class StallError(RuntimeError):
    """Nobody could work for too long; the message says what waits for what."""


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """How one role stands.

    Example:
        Waiting(role="scorer", num_queued=3, num_members=1, num_starting=1, working=())

    Attributes:
        num_queued: orders without a member.
        num_members: actors of the role, `num_starting` of which are not ready yet.
        working: per busy member, on what and for how long.
    """

    role: str
    num_queued: int
    num_members: int
    num_starting: int
    working: tuple[str, ...]

    def __str__(self) -> str:
        num_ready = self.num_members - self.num_starting
        parts = [f"{self.role}s {num_ready}/{self.num_members} ready"]
        if self.num_queued:
            parts.append(f"{self.num_queued} orders queued")
        return ", ".join([*parts, *self.working])


class StallWatch:
    """A clock that every finished thing sets back.

    Args:
        settings: how often to tell, and when to give up.
    """

    def __init__(self, settings: FaultSettings) -> None:
        self._settings = settings
        self._what = ""
        self._told = self._progressed = time.monotonic()

    def begin(self, what: str) -> None:
        """A new wait begins."""
        self._what = what
        self._told = self._progressed = time.monotonic()

    def progressed(self) -> None:
        """Something was finished."""
        self._progressed = time.monotonic()

    def line(self, roles: Sequence[Waiting], *, is_idle: bool) -> str | None:
        """A line for the user when one is due.

        Args:
            roles: how every role stands.
            is_idle: whether nobody works on anything; whoever works has a deadline of its own.

        Raises:
            StallError: nobody could work for faults.stall_timeout_s.
        """
        now = time.monotonic()
        quiet_s = now - self._progressed
        state = "; ".join(map(str, roles))
        if is_idle and quiet_s > self._settings.stall_timeout_s:
            raise StallError(
                f"nobody could work for {quiet_s:.0f} s (faults.stall_timeout_s) while waiting for "
                f"{self._what}: {state}. A role without ready members waits for a machine or for its models"
            )
        if quiet_s > self._settings.tell_every_s and now - self._told > self._settings.tell_every_s:
            self._told = now
            return f"waiting for {self._what}, nothing finished for {quiet_s:.0f} s: {state}"
        return None
