"""Does something to a run while it works: for the tests of recovery and the benchmark of what it costs."""

import os
import signal
import time
from collections.abc import Callable
from typing import Any

import ray

from eva_rl.actors.member import Member
from eva_rl.actors.roles import Roles

Deed = Callable[[Roles], object]
"""Is called again and again until it answers with something true."""


class Saboteur:
    """Looks on from the dispatcher's event loop and commits one deed, at a chosen training step.

    Args:
        roles: of the run.
        at_step: training steps that are finished before.
        deed: what to do.

    Attributes:
        done_at: clock reading of the deed, in seconds; None before.
    """

    def __init__(self, roles: Roles, *, at_step: int, deed: Deed) -> None:
        self.done_at: float | None = None
        self._roles = roles
        self._at_step = at_step
        self._deed = deed
        self._num_steps = 0
        roles.dispatcher.on_tick.append(self._look)

    def count(self, note: str) -> None:
        """Is told the note of every training step."""
        self._num_steps += note.startswith("reward ")

    def _look(self) -> None:
        if self.done_at is None and self._num_steps >= self._at_step and self._deed(self._roles):
            self.done_at = time.perf_counter()


def in_actor(actor: Any, function: Callable[[Any], object]) -> ray.ObjectRef:
    """Runs a function inside an actor's process, before its next call."""
    return actor.__ray_call__.remote(function)


def process_of(actor: Any) -> int:
    """Process number of an actor that is idle."""
    return ray.get(in_actor(actor, lambda role: os.getpid()))


def busy(roles: Roles, role: str) -> list[Member]:
    """Members of a role that have an order in hand."""
    return [member for member in roles.dispatcher.busy_members() if member.role == role]


def killing_a(role: str) -> Deed:
    """Kills a member in the middle of an order: it naps first, so that the order cannot be finished."""
    processes: dict[Member, int] = {}

    def deed(roles: Roles) -> bool:
        for member in roles.dispatcher.pools[role].members:
            if member.is_ready and member not in processes and member not in busy(roles, role):
                processes[member] = process_of(member.actor)
                in_actor(member.actor, lambda role: time.sleep(5))
        for member in busy(roles, role):
            if member in processes:
                os.kill(processes[member], signal.SIGKILL)
                return True
        return False

    return deed


def hanging_a(role: str) -> Deed:
    """Keeps a member from its orders for good."""

    def deed(roles: Roles) -> object:
        (member, *_) = roles.dispatcher.pools[role].members
        return member.is_ready and in_actor(member.actor, lambda role: time.sleep(3600))

    return deed


def kill_a_rank(roles: Roles) -> bool:
    """Kills the last rank of the learner."""
    os.kill(process_of(roles.learner.ranks[-1]), signal.SIGKILL)
    return True


def spoil_a_loss(roles: Roles) -> bool:
    """Makes the first loss of the learner's next update not a number."""

    def spoil(learner: Any) -> None:
        losses = learner._rule.losses

        def spoiled(*arguments: Any, **keywords: Any) -> list[Any]:
            learner._rule.losses = losses
            first, *others = losses(*arguments, **keywords)
            return [type(first)(**(vars(first) | {"loss": first.loss * float("nan")})), *others]

        learner._rule.losses = spoiled

    in_actor(roles.learner.ranks[-1], spoil)
    return True
