"""Ray around the plain role classes: actors are started, prepared, replaced, added and let go."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

import ray
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from eva_rl.actors.member import Member, Place


class Resources(Protocol):
    """What one actor of a role reserves."""

    @property
    def num_cpus(self) -> float:
        """CPUs."""
        ...

    @property
    def num_gpus(self) -> float:
        """GPUs."""
        ...


def start_actor(
    role: type,
    place: Place,
    *,
    resources: Resources,
    arguments: Sequence[Any],
    keywords: Mapping[str, Any] | None = None,
) -> Any:
    """Starts one actor of a plain class; returns its handle without waiting.

    Ray never restarts it by itself: a restarted actor knows nothing of what it was told before, so the pool
    starts a new one and tells it.

    Args:
        role: the plain class.
        place: bundle to start it in.
        resources: what it reserves.
        arguments: constructor arguments by position.
        keywords: constructor arguments by name.
    """
    strategy = PlacementGroupSchedulingStrategy(place.group, placement_group_bundle_index=place.bundle)
    actor_class = ray.remote(role).options(
        num_cpus=resources.num_cpus,
        num_gpus=resources.num_gpus,
        scheduling_strategy=strategy,
        max_restarts=0,
    )
    return actor_class.remote(*arguments, **(keywords or {}))


class RolePool:
    """The members of one role.

    Args:
        role: name in messages.
        start: starts an actor in a place, without waiting.
        places: one per member to begin with.
    """

    def __init__(self, role: str, start: Callable[[Place], Any], places: Iterable[Place]) -> None:
        self.role = role
        self.members: list[Member] = []
        self._start = start
        self._preparation: tuple[str, tuple[Any, ...]] | None = None
        self._num_started = 0
        for place in places:
            self.add(place)

    def add(self, place: Place) -> Member:
        """Starts one more member; it is used as soon as it is ready."""
        self._num_started += 1
        return self._enlist(place, self._num_started - 1)

    def replace(self, member: Member) -> Member:
        """Stops what is left of a member and starts another in its place."""
        self.remove(member)
        return self._enlist(member.place, member.number)

    def remove(self, member: Member) -> None:
        """Stops a member for good."""
        self.members.remove(member)
        ray.kill(member.actor, no_restart=True)

    def prepare(self, method: str, *arguments: object) -> None:
        """Calls a method on every member before its next order, those included that come later."""
        self._preparation = (method, arguments)
        for member in self.members:
            member.ready, member.is_ready = self._prepared(member.actor), False

    def _enlist(self, place: Place, number: int) -> Member:
        actor = self._start(place)
        member = Member(role=self.role, number=number, actor=actor, place=place, ready=self._prepared(actor))
        self.members.append(member)
        return member

    def _prepared(self, actor: Any) -> ray.ObjectRef:
        if self._preparation is None:
            return actor.__ray_ready__.remote()
        method, arguments = self._preparation
        return getattr(actor, method).remote(*arguments)
