"""Machines for the roles: one placement group per role, or one that all of them share."""

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from ray import ObjectRef
from ray.util.placement_group import PlacementGroup, placement_group, remove_placement_group

from eva_rl.actors.capacity import RoleDemand
from eva_rl.actors.machines import check_possible, wait_until_ready
from eva_rl.actors.member import Place
from eva_rl.config.align import AlignSettings
from eva_rl.config.placement import PlacedSection

DATA_TASKS = RoleDemand(role="data tasks", count=1, bundle={"CPU": 0.5})
"""What reading and encoding the conditions takes while the roles hold their machines."""


@dataclass(frozen=True, kw_only=True)
class Placement:
    """Where the members of one role go.

    Attributes:
        role: its section of the settings.
        group: the placement group; colocated roles share it.
        bundles: bundle index of every member.
        wanted: what one member's actor takes of its bundle: `num_cpus` and `num_gpus`.
        demand: what the group asks of the cluster.
    """

    role: str
    group: PlacementGroup
    bundles: tuple[int, ...]
    wanted: PlacedSection
    demand: RoleDemand

    @property
    def places(self) -> list[Place]:
        """One per member."""
        return [Place(group=self.group, bundle=bundle) for bundle in self.bundles]

    def ready(self) -> ObjectRef:
        """A reference that is there once machines are: to be polled with `ray.wait`."""
        return self.group.ready()

    def release(self) -> None:
        """Gives the machines back; whatever still runs in the group is stopped by Ray."""
        remove_placement_group(self.group)


@dataclass(frozen=True, kw_only=True)
class RolePlacements:
    """Where the roles of training go."""

    learner: Placement
    generators: Placement
    scorers: Placement

    def release(self) -> None:
        """Gives all their machines back."""
        for group in {self.learner.group, self.generators.group, self.scorers.group}:
            remove_placement_group(group)


def place_roles(settings: AlignSettings, *, tell: Callable[[str], None]) -> RolePlacements:
    """Reserves machines for the learner and as many generators and scorers as the run begins with; waits.

    Whether evaluators can be placed later, when these roles are gone, is checked now: nobody wants to learn
    that after hours of training.

    Args:
        settings: counts, resources and strategies per role.
        tell: receives a line every few seconds while machines are missing.

    Raises:
        PlacementError: when they can never fit, or have not appeared within cluster.placement_timeout_s.
    """
    check_possible([_evaluators(settings)], settings.cluster)
    check_possible([*_demands(settings), DATA_TASKS], settings.cluster)
    if settings.cluster.placement == "colocated":
        placed = _place_colocated(settings)
    else:
        learner, generators, scorers = _demands(settings)
        placed = RolePlacements(
            learner=_place(learner, settings.learner),
            generators=_place(generators, settings.generators),
            scorers=_place(scorers, settings.scorers),
        )
    _wait([placed.learner, placed.generators, placed.scorers], settings, tell)
    return placed


def place_evaluators(settings: AlignSettings, *, tell: Callable[[str], None]) -> Placement:
    """Reserves machines for the evaluators, when evaluation begins; waits.

    Args:
        settings: of the run.
        tell: receives a line every few seconds while machines are missing.

    Raises:
        PlacementError: when they can never fit, or have not appeared within cluster.placement_timeout_s.
    """
    demand = _evaluators(settings)
    check_possible([demand], settings.cluster)
    placed = _place(demand, settings.evaluation)
    _wait([placed], settings, tell)
    return placed


def place_member(role: str, wanted: PlacedSection) -> Placement:
    """Asks for a machine for one further member of a role, in a group of its own; does not wait.

    The caller polls `Placement.ready`, starts the member when it is there, and gives the machine back with
    `Placement.release`, which also takes back a request that was never met.

    Args:
        role: its section of the settings.
        wanted: that section.
    """
    return _place(demand_of(role, wanted, count=1), wanted)


def demand_of(role: str, wanted: PlacedSection, count: int) -> RoleDemand:
    """What `count` members of a role ask of the cluster."""
    return RoleDemand(
        role=role, count=count, bundle=wanted.bundle, labels=wanted.labels, strategy=wanted.strategy
    )


def _demands(settings: AlignSettings) -> list[RoleDemand]:
    """Of all that is placed together: learner, generators and scorers, or the bundles that they share."""
    learner, generators, scorers = settings.learner, settings.generators, settings.scorers
    if settings.cluster.placement == "colocated":
        return [_seats(settings)]
    return [
        demand_of("learner", learner, learner.num_ranks),
        demand_of("generators", generators, generators.num_at_start),
        demand_of("scorers", scorers, scorers.num_at_start),
    ]


def _evaluators(settings: AlignSettings) -> RoleDemand:
    return demand_of("evaluation", settings.evaluation, settings.evaluation.num_evaluators)


def _seats(settings: AlignSettings) -> RoleDemand:
    """One bundle per learner rank, with room for its share of generators and scorers."""
    num_seats, bundle = settings.learner.num_ranks, dict(settings.learner.bundle)
    for role in (settings.generators, settings.scorers):
        for name, amount in role.bundle.items():
            bundle[name] = bundle.get(name, 0.0) + -(-role.count // num_seats) * amount
    wanted = demand_of("colocated roles", settings.learner, num_seats)
    return replace(wanted, bundle=bundle)


def _place_colocated(settings: AlignSettings) -> RolePlacements:
    """Deals generators and scorers to the ranks' bundles in turn: who shares a bundle shares a GPU."""
    demand = _seats(settings)
    shared = _place(demand, settings.learner)

    def dealt(role: str, wanted: PlacedSection, count: int) -> Placement:
        bundles = tuple(member % demand.count for member in range(count))
        return replace(shared, role=role, wanted=wanted, bundles=bundles)

    return RolePlacements(
        learner=dealt("learner", settings.learner, demand.count),
        generators=dealt("generators", settings.generators, settings.generators.count),
        scorers=dealt("scorers", settings.scorers, settings.scorers.count),
    )


def _place(demand: RoleDemand, wanted: PlacedSection) -> Placement:
    """Creates the placement group of a demand; does not wait."""
    group = placement_group(
        [dict(demand.bundle)] * demand.count,
        strategy=demand.strategy,
        name=f"eva_rl {demand.role} {uuid.uuid4().hex[:8]}",  # Ray wants every name once
        bundle_label_selector=[dict(demand.labels)] * demand.count,
    )
    return Placement(
        role=demand.role, group=group, bundles=tuple(range(demand.count)), wanted=wanted, demand=demand
    )


def _wait(placed: Sequence[Placement], settings: AlignSettings, tell: Callable[[str], None]) -> None:
    """Waits for every group; gives all of them back when that fails."""
    waiting = {placement.group: placement for placement in placed}.values()
    try:
        wait_until_ready({item.ready(): item.demand for item in waiting}, settings.cluster, tell=tell)
    except BaseException:
        for item in waiting:
            item.release()
        raise
