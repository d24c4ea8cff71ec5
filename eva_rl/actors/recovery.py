"""Replaces lost members and repeats their orders, within budgets."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum

from ray.exceptions import ObjectLostError, RayActorError

from eva_rl.actors.member import Member
from eva_rl.actors.order import Ticket
from eva_rl.actors.pool import RolePool
from eva_rl.config.faults import FaultSettings


class Remedy(Enum):
    """What follows a failed call."""

    REPLACE_MEMBER = "replace the member and give its order to another"
    REMAKE_INPUT = "make the lost input again"
    RAISE = "end the run: doing it again would fail again"


class RoleLostError(RuntimeError):
    """A role lost more members than the budget allows, or an order failed too often."""


def remedy_for(error: BaseException) -> Remedy:
    """Decides by the kind of failure.

    Ray 2.60 reports a killed process, a removed node and a dying actor as `RayActorError`, and a lost
    argument as a task error that is also an `ObjectLostError`. Whatever else a call raises comes from its own
    code and would come again.

    Args:
        error: as `ray.get` raised it.
    """
    if isinstance(error, ObjectLostError):
        return Remedy.REMAKE_INPUT
    if isinstance(error, RayActorError):
        # an actor whose constructor raised is a mistake in models or settings, not a lost machine
        return Remedy.RAISE if error.actor_init_failed else Remedy.REPLACE_MEMBER
    return Remedy.RAISE


@dataclass(kw_only=True)
class FaultCounts:
    """What a run survived so far.

    Attributes:
        num_replaced: members replaced, by role.
        num_hung: members that passed their deadline.
        num_remade: inputs made again after they were lost.
        num_repeated: orders begun again.
    """

    num_replaced: dict[str, int] = field(default_factory=dict)
    num_hung: int = 0
    num_remade: int = 0
    num_repeated: int = 0


class Recovery:
    """Keeps the roles alive and counts what it cost.

    Args:
        pools: by role; the dispatcher's own table.
        settings: budgets.
        tell: receives a line per fault.
    """

    def __init__(
        self, pools: Mapping[str, RolePool], settings: FaultSettings, tell: Callable[[str], None]
    ) -> None:
        self.counts = FaultCounts()
        self._pools = pools
        self._settings = settings
        self._tell = tell

    def replace(self, member: Member, why: str) -> None:
        """Starts another member in the place of a lost one; one that was leaving anyway is just let go.

        Raises:
            RoleLostError: faults.max_replacements members of the role were lost before.
        """
        pool = self._pools.get(member.role)
        if pool is None or member not in pool.members:
            return  # let go or replaced meanwhile
        if member.is_draining:
            pool.remove(member)
            self._tell(f"{member} left: it {why}")
            return
        num_lost = self.counts.num_replaced.get(member.role, 0)
        if num_lost >= self._settings.max_replacements:
            raise RoleLostError(
                f"{member} {why}, after {num_lost} other losses of a {member.role}: faults.max_replacements "
                f"allows {self._settings.max_replacements}; look for the cause in Ray's worker logs, then "
                "continue with --run.resume auto"
            )
        self.counts.num_replaced[member.role] = num_lost + 1
        self._tell(f"{member} {why}; another is started in its place")
        pool.replace(member)

    def check_repetition(self, ticket: Ticket) -> None:
        """Counts an order that is begun again.

        Raises:
            RoleLostError: it was begun faults.max_attempts times.
        """
        if ticket.num_attempts >= self._settings.max_attempts:
            raise RoleLostError(
                f"{ticket.order.label} was begun {ticket.num_attempts} times and each {ticket.order.role} "
                f"that took it was lost: faults.max_attempts allows {self._settings.max_attempts}"
            )
        self.counts.num_repeated += 1

    def count_remade(self, ticket: Ticket) -> None:
        """Counts an input that is made again."""
        self.counts.num_remade += 1
        self._tell(f"{ticket.order.label}: the input was lost with its machine and is made again")
