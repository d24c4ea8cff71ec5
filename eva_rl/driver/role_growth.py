"""The members of one role that join and leave while a run goes on."""

from collections.abc import Callable

import ray
from ray import ObjectRef
from ray.util.placement_group import PlacementGroup

from eva_rl.actors.dispatcher import Dispatcher
from eva_rl.actors.member import Member
from eva_rl.actors.placement import Placement, place_member
from eva_rl.config.roles import PoolSettings


class RoleGrowth:
    """Brings the number of members to the wanted one, as far as there are machines.

    A member that joins needs no push: every order names its adapter and its seeds, so nothing that is
    trained depends on who was there. One that leaves gets no new order and finishes the one in its hands.
    The members that the run began with stay.

    Args:
        role: of the dispatcher's pools.
        settings: the role's section.
        dispatcher: gives work to the members.
        tell: receives a line when one joins or leaves.
    """

    def __init__(
        self, role: str, settings: PoolSettings, dispatcher: Dispatcher, *, tell: Callable[[str], None]
    ) -> None:
        self.settings = settings
        self.wanted = settings.count
        self._role = role
        self._dispatcher = dispatcher
        self._tell = tell
        self._waiting: dict[ObjectRef, Placement] = {}
        self._late: dict[PlacementGroup, Placement] = {}

    @property
    def num_members(self) -> int:
        """Members that work or are on their way."""
        return len(self._staying()) + len(self._waiting)

    def look(self) -> None:
        """Takes in who has a machine, lets go who has finished, asks for who is missing; never waits."""
        self._take_in()
        self._let_go()
        surplus = self.num_members - self.wanted
        for _ in range(-surplus):
            placement = place_member(self._role, self.settings)
            self._waiting[placement.ready()] = placement
        if surplus > 0:
            self._reduce(surplus)

    def stop(self) -> None:
        """Takes back what still waits for a machine and gives back the machines of late members."""
        for placement in (*self._waiting.values(), *self._late.values()):
            placement.release()
        self._waiting.clear()
        self._late.clear()

    def _take_in(self) -> None:
        pool = self._dispatcher.pools[self._role]
        ready: list[ObjectRef] = []
        if self._waiting:
            ready, _ = ray.wait(list(self._waiting), num_returns=len(self._waiting), timeout=0)
        for reference in ready:
            placement = self._waiting.pop(reference)
            self._late[placement.group] = placement
            (place,) = placement.places
            member = pool.add(place)
            self._tell(f"{member} joins: {len(self._staying())} of {self.wanted} wanted are there")

    def _let_go(self) -> None:
        """Stops late members that were told to leave and are idle; gives machines back that nobody uses."""
        pool, busy = self._dispatcher.pools[self._role], self._dispatcher.busy_members()
        for member in [member for member in pool.members if member.is_draining and self._is_late(member)]:
            if member not in busy:
                pool.remove(member)
                self._tell(f"{member} has left: {len(self._staying())} are there")
        used = {member.place.group for member in pool.members}
        for group in [group for group in self._late if group not in used]:
            self._late.pop(group).release()

    def _reduce(self, surplus: int) -> None:
        """Takes back requests first, then lets the youngest late members go."""
        for reference in list(self._waiting)[:surplus]:
            self._waiting.pop(reference).release()
            surplus -= 1
        late = [member for member in self._staying() if self._is_late(member)]
        for member in late[len(late) - surplus :] if surplus else []:
            member.is_draining = True

    def _staying(self) -> list[Member]:
        return [member for member in self._dispatcher.pools[self._role].members if not member.is_draining]

    def _is_late(self, member: Member) -> bool:
        return member.place.group in self._late
