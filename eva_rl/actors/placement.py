"""Machines for the roles: one placement group, waited for aloud, refused when it can never fit."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import ray
from ray.util.placement_group import PlacementGroup, placement_group, remove_placement_group

from eva_rl.config.align import AlignSettings

POLL_EVERY_S = 2.0


class PlacementError(RuntimeError):
    """The cluster did not offer the resources in time; the message shows the arithmetic."""


@dataclass(frozen=True, kw_only=True)
class RoleBundles:
    """Which bundles of the placement group belong to which role.

    Attributes:
        generators, scorers, learner, evaluators: bundle indices, one per actor.
    """

    group: PlacementGroup
    generators: tuple[int, ...]
    scorers: tuple[int, ...]
    learner: tuple[int, ...]
    evaluators: tuple[int, ...]


def place_roles(settings: AlignSettings, *, tell: Callable[[str], None]) -> RoleBundles:
    """Reserves one bundle per actor, packed onto as few machines as possible.

    Args:
        settings: counts and resources per role.
        tell: receives a line while machines are missing.

    Raises:
        PlacementError: when the cluster has not offered the resources within cluster.placement_timeout_s.
    """
    roles = (settings.generators, settings.scorers)
    bundles = [_bundle(role.num_cpus, role.num_gpus) for role in roles for _ in range(role.count)]
    bundles += [_bundle(settings.learner.num_cpus, settings.learner.num_gpus)] * settings.learner.num_ranks
    bundles += [
        _bundle(settings.evaluation.num_cpus, settings.evaluation.num_gpus)
    ] * settings.evaluation.num_evaluators
    group = placement_group(bundles, strategy="PACK")
    _wait(group, bundles, timeout_s=settings.cluster.placement_timeout_s, tell=tell)
    ends = [settings.generators.count, settings.scorers.count, settings.learner.num_ranks]
    first = [sum(ends[:position]) for position in range(4)]
    return RoleBundles(
        group=group,
        generators=tuple(range(first[0], first[1])),
        scorers=tuple(range(first[1], first[2])),
        learner=tuple(range(first[2], first[3])),
        evaluators=tuple(range(first[3], len(bundles))),
    )


def release(bundles: RoleBundles) -> None:
    """Gives the machines back; actors in the group are stopped by Ray."""
    remove_placement_group(bundles.group)


def _bundle(num_cpus: float, num_gpus: float) -> dict[str, float]:
    return {"CPU": num_cpus} | ({"GPU": num_gpus} if num_gpus else {})


def _wait(
    group: PlacementGroup, bundles: list[dict[str, float]], *, timeout_s: float, tell: Callable[[str], None]
) -> None:
    deadline = time.monotonic() + timeout_s
    while not group.wait(POLL_EVERY_S):
        missing = _arithmetic(bundles)
        if time.monotonic() > deadline:
            remove_placement_group(group)
            raise PlacementError(
                f"the cluster did not offer the roles' resources within {timeout_s:.0f} s: {missing}; reduce "
                "generators.count, scorers.count or learner.num_ranks, or add machines"
            )
        tell(f"waiting for machines: {missing}")


def _arithmetic(bundles: list[dict[str, float]]) -> str:
    wanted = {kind: sum(bundle.get(kind, 0.0) for bundle in bundles) for kind in ("CPU", "GPU")}
    registered, free = ray.cluster_resources(), ray.available_resources()
    return ", ".join(
        f"{kind} wanted {amount:g}, registered {registered.get(kind, 0.0):g}, free {free.get(kind, 0.0):g}"
        for kind, amount in wanted.items()
        if amount
    )
