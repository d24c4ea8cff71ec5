"""One running actor of a role, and the place it runs in."""

from dataclasses import dataclass
from typing import Any

from ray import ObjectRef
from ray.util.placement_group import PlacementGroup


@dataclass(frozen=True, kw_only=True)
class Place:
    """One bundle of a placement group.

    Example:
        Place(group=placement_group([{"CPU": 1}]), bundle=0)
    """

    group: PlacementGroup
    bundle: int


@dataclass(eq=False, kw_only=True)
class Member:
    """An actor of a role; a replacement is a new member with the same number.

    Attributes:
        role: as in messages, "generator" or "scorer".
        number: within the role, from 0.
        actor: handle.
        place: where it runs.
        ready: resolves when it has loaded its models and been prepared.
        is_ready: whether `ready` was seen to resolve.
        is_draining: gets no new order; its place is about to go.
    """

    role: str
    number: int
    actor: Any
    place: Place
    ready: ObjectRef
    is_ready: bool = False
    is_draining: bool = False

    def __str__(self) -> str:
        return f"{self.role} {self.number}"
