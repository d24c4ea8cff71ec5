"""Hands orders to free members, and survives the loss of any of them.

Everything that a driver waits for is waited for here, in one event loop: so generators and scorers are kept
busy while the learner learns, and every fault is seen at once, whatever the run is waiting for.
"""

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import ray
from ray import ObjectRef
from ray.exceptions import RayError

from eva_rl.actors.member import Member
from eva_rl.actors.order import Order, Ticket
from eva_rl.actors.pool import RolePool
from eva_rl.actors.recovery import FaultCounts, Recovery, Remedy, remedy_for
from eva_rl.actors.stall_watch import StallWatch, Waiting
from eva_rl.config.faults import FaultSettings
from eva_rl.records.span import Span

TICK_S = 0.5
"""Deadlines, notices and the stall watch are looked at at least so often."""


@dataclass(frozen=True, kw_only=True)
class Running:
    """An order in a member's hands."""

    ticket: Ticket
    member: Member
    results: tuple[ObjectRef, ...]
    started: float


class Dispatcher:
    """Orders in, results out, in whatever order they are ready.

    Consumes orders; waits for members, results and the references it is given; produces calls of `on_done`;
    is unblocked by any of them, and looks at deadlines every TICK_S.

    Args:
        settings: deadlines and budgets.
        tell: receives a line for every fault, and while nothing is finished.
    """

    def __init__(self, settings: FaultSettings, *, tell: Callable[[str], None]) -> None:
        self.tell = tell
        self.on_tick: list[Callable[[], None]] = []
        self.on_work: list[Callable[[Span], None]] = []
        self._pools: dict[str, RolePool] = {}
        self._queues: dict[str, deque[Ticket]] = {}
        self._running: dict[ObjectRef, Running] = {}
        self._stall = StallWatch(settings)
        self._recovery = Recovery(self._pools, settings, lambda line: self.tell(line))

    def employ(self, pool: RolePool) -> None:
        """Takes a role's members into service."""
        self._pools[pool.role] = pool
        self._queues[pool.role] = deque()

    def dismiss(self, role: str) -> None:
        """Stops all members of a role that is not needed any more."""
        pool = self._pools.pop(role)
        self._queues.pop(role)
        for member in list(pool.members):
            pool.remove(member)

    @property
    def pools(self) -> Mapping[str, RolePool]:
        """The roles in service."""
        return self._pools

    @property
    def faults(self) -> FaultCounts:
        """What was survived so far."""
        return self._recovery.counts

    def queue_depths(self) -> dict[str, int]:
        """Orders that wait for a member, by role."""
        return {role: len(queue) for role, queue in self._queues.items()}

    def busy_members(self) -> set[Member]:
        """Members that are at work."""
        return {running.member for running in self._running.values()}

    def submit(
        self,
        order: Order,
        on_done: Callable[[Any, Sequence[ObjectRef]], None],
        *,
        on_lost_input: Callable[[], None] | None = None,
    ) -> Ticket:
        """Queues an order; returns without waiting.

        Args:
            order: complete.
            on_done: called with receipt and references when it is done.
            on_lost_input: called when an argument was lost with its machine; without it the loss is an error.
        """
        ticket = Ticket(order=order, on_done=on_done, on_lost_input=on_lost_input)
        self._queues[order.role].append(ticket)
        self._assign()
        return ticket

    def cancel_all(self) -> None:
        """Forgets every order; what is already being worked on is finished and dropped."""
        for queue in self._queues.values():
            queue.clear()
        for running in self._running.values():
            running.ticket.is_cancelled = True

    def wait_until(self, is_done: Callable[[], bool], *, what: str) -> None:
        """Works on orders until the condition holds.

        Args:
            is_done: looked at after every event.
            what: for messages.

        Raises:
            RoleLostError: a budget is used up.
            StallError: nobody could work for faults.stall_timeout_s.
        """
        self._work(is_done, [], what=what)

    def collect(self, references: Sequence[ObjectRef], *, what: str, timeout_s: float) -> list[Any]:
        """Values of references that are no orders of this dispatcher; orders go on meanwhile.

        Args:
            references: of calls that somebody else made, such as those of the learner.
            what: for messages.
            timeout_s: of all of them together.

        Raises:
            TimeoutError: they were not ready in time.
            Exception: the first one that any of the calls raised, as soon as it is known.
        """
        outstanding, deadline = list(references), time.monotonic() + timeout_s

        def is_done() -> bool:
            if outstanding and time.monotonic() > deadline:
                raise TimeoutError(f"{what} took longer than {timeout_s:g} s")
            return not outstanding

        self._work(is_done, outstanding, what=what)
        return ray.get(list(references))

    def _work(self, is_done: Callable[[], bool], outstanding: list[ObjectRef], *, what: str) -> None:
        """The event loop; takes references out of `outstanding` as they turn out well."""
        self._stall.begin(what)
        while not is_done():
            self._assign()
            starting = {member.ready: member for member in self._starting()}
            references = [*outstanding, *self._running, *starting]
            ready: list[ObjectRef] = []
            if references:
                ready, _ = ray.wait(references, num_returns=1, timeout=TICK_S)
            else:  # every member is lost and nothing is ordered: only a notice can come
                time.sleep(TICK_S)
            for reference in ready:
                self._stall.progressed()
                if reference in self._running:
                    self._finish(self._running.pop(reference), reference)
                elif reference in starting:
                    self._welcome(starting[reference])
                else:
                    outstanding.remove(reference)
                    ray.get(reference)
            self._look_around(is_idle=not outstanding and not self._running)

    def _look_around(self, *, is_idle: bool) -> None:
        self._replace_hung()
        for look in self.on_tick:
            look()
        if line := self._stall.line(self._waiting(), is_idle=is_idle):
            self.tell(line)

    def _assign(self) -> None:
        busy = self.busy_members()
        for role, pool in self._pools.items():
            queue = self._queues[role]
            for member in pool.members:
                if queue and member.is_ready and not member.is_draining and member not in busy:
                    self._begin(queue.popleft(), member)

    def _begin(self, ticket: Ticket, member: Member) -> None:
        order, ticket.num_attempts = ticket.order, ticket.num_attempts + 1
        method = getattr(member.actor, order.method).options(num_returns=order.num_results + 1)
        called = method.remote(*order.arguments, **order.keywords)
        receipt, *results = called if order.num_results else [called]
        self._running[receipt] = Running(
            ticket=ticket, member=member, results=tuple(results), started=time.monotonic()
        )

    def _finish(self, running: Running, receipt: ObjectRef) -> None:
        try:
            value = ray.get(receipt)
        except RayError as error:
            self._mend(running, error)
            return
        for see in self.on_work:
            see(_span_of(running))
        if not running.ticket.is_cancelled:
            running.ticket.on_done(value, running.results)

    def _mend(self, running: Running, error: RayError) -> None:
        ticket, remedy = running.ticket, remedy_for(error)
        if remedy is Remedy.REPLACE_MEMBER:
            self._recovery.replace(running.member, f"was lost with {ticket.order.label}")
            self._repeat(ticket)
        elif remedy is Remedy.REMAKE_INPUT and ticket.on_lost_input is not None:
            if not ticket.is_cancelled:
                self._recovery.count_remade(ticket)
                ticket.on_lost_input()
        else:
            raise error

    def _welcome(self, member: Member) -> None:
        try:
            ray.get(member.ready)
        except RayError as error:
            if remedy_for(error) is not Remedy.REPLACE_MEMBER:
                raise
            self._recovery.replace(member, "was lost while it started")
            return
        member.is_ready = True

    def _replace_hung(self) -> None:
        now = time.monotonic()
        for reference, running in list(self._running.items()):
            order = running.ticket.order
            if now - running.started > order.deadline_s:
                del self._running[reference]
                self.faults.num_hung += 1
                why = f"did not finish {order.label} within {order.deadline_s:g} s"
                self._recovery.replace(running.member, why)
                self._repeat(running.ticket)

    def _repeat(self, ticket: Ticket) -> None:
        if not ticket.is_cancelled:
            self._recovery.check_repetition(ticket)
            self._queues[ticket.order.role].appendleft(ticket)

    def _starting(self) -> list[Member]:
        return [member for pool in self._pools.values() for member in pool.members if not member.is_ready]

    def _waiting(self) -> list[Waiting]:
        now = time.monotonic()
        return [
            Waiting(
                role=role,
                num_queued=len(self._queues[role]),
                num_members=len(pool.members),
                num_starting=sum(not member.is_ready for member in pool.members),
                working=tuple(
                    f"{running.member}: {running.ticket.order.label} for {now - running.started:.0f} s"
                    for running in self._running.values()
                    if running.member.role == role
                ),
            )
            for role, pool in self._pools.items()
        ]


def _span_of(running: Running) -> Span:
    """What a member did, from the order to the moment in which the driver saw the result."""
    member, label = running.member, running.ticket.order.label
    what, _, of = label.partition(" of ")
    return Span.between(
        running.started,
        time.monotonic(),
        role=member.role,
        number=member.number,
        name=what,
        details={"of": of},
    )
