"""The cluster's side of placement: which machines there are or may be, and waiting for them aloud."""

import time
from collections.abc import Callable, Mapping, Sequence
from math import inf

import ray
from ray import ObjectRef
from ray._private.state import state  # Ray Data asks here for the autoscaler's node types, too

from eva_rl.actors.capacity import NodeKind, RoleDemand, amounts, impossibilities, missing
from eva_rl.config.run import ClusterSettings

TELL_EVERY_S = 3.0

REMEDY = "reduce counts or resources of these roles, or use larger or more machines"


class PlacementError(RuntimeError):
    """The cluster cannot offer the resources, or did not in time; the message shows the arithmetic."""


def check_possible(demands: Sequence[RoleDemand], settings: ClusterSettings) -> None:
    """Refuses what the machines that there are or may ever be can never hold.

    Where nobody knows which machines may join, everything is possible.

    Args:
        demands: all that must be placed at the same time.
        settings: say whether machines may join, and of which kinds.

    Raises:
        PlacementError: with the arithmetic.
    """
    kinds = possible_kinds(settings)
    problems = [] if kinds is None else impossibilities(demands, kinds)
    if problems:
        raise PlacementError(
            f"this can never fit on the cluster ({_described(kinds or ())}): {'; '.join(problems)}. {REMEDY}"
        )


def possible_kinds(settings: ClusterSettings) -> list[NodeKind] | None:
    """All machines that the cluster has or may get; None where that is not known."""
    joins, is_joined = settings.machines_may_join, settings.joined_address is not None
    if joins is False or (joins is None and not is_joined):
        return registered_kinds()
    addable = [
        NodeKind(resources=kind.resources, labels=kind.labels, count=kind.max_count)
        for kind in settings.node_types
    ] or _reported_kinds()
    if not addable:
        return None
    # of the registered ones, those that an autoscaler added are counted by their kind already
    return [kind for kind in registered_kinds() if not _is_one_of(kind, addable)] + addable


def registered_kinds() -> list[NodeKind]:
    """The machines that are in the cluster now, one by one."""
    return [
        NodeKind(resources=node["Resources"], labels=node.get("Labels") or {})
        for node in ray.nodes()
        if node["Alive"]
    ]


def wait_until_ready(
    waiting: Mapping[ObjectRef, RoleDemand], settings: ClusterSettings, *, tell: Callable[[str], None]
) -> None:
    """Waits until every placement group is ready, and says every few seconds what is missing.

    Args:
        waiting: the groups' references, and what each asks for.
        settings: how long to wait.
        tell: receives the lines.

    Raises:
        PlacementError: when the time is over.
    """
    started, pending = time.monotonic(), list(waiting)
    while pending:
        _, pending = ray.wait(pending, num_returns=len(pending), timeout=TELL_EVERY_S)
        waited = time.monotonic() - started
        if pending and waited > settings.placement_timeout_s:
            raise PlacementError(
                f"machines were missing for {waited:.0f} s: {_state([waiting[ref] for ref in pending])}. "
                f"{REMEDY}, or wait longer with cluster.placement_timeout_s"
            )
        if pending:
            tell(f"waiting for machines ({waited:.0f} s): {_state([waiting[ref] for ref in pending])}")


def _state(demands: Sequence[RoleDemand]) -> str:
    """What is registered, what of it is free, what is wanted and what is missing."""
    kinds, free = registered_kinds(), ray.available_resources()
    short = missing(demands, free)
    names = dict.fromkeys(name for demand in demands for name in demand.bundle)
    offered = {name: free.get(name, 0.0) for name in names}
    lacking = f"missing {amounts(short)}" if short else "enough in sum, but not on machines that fit"
    wanted = "; ".join(map(str, demands))
    return f"{_described(kinds)} registered, free {amounts(offered)}; wanted {wanted}; {lacking}"


def _described(kinds: Sequence[NodeKind]) -> str:
    count = sum(kind.count for kind in kinds)
    totals = {
        name: sum(kind.count * kind.resources[name] for kind in kinds if name in kind.resources)
        for name in sorted({name for kind in kinds for name in kind.resources})
        if not name.startswith(("node:", "object_store_memory", "accelerator_type:"))
        and "_group_" not in name
    }
    return f"{count:g} machine{'s' * (count != 1)} with {amounts(totals)}"


def _reported_kinds() -> list[NodeKind]:
    """What the autoscaler has told Ray that it may add; most of them tell nothing."""
    config = state.get_cluster_config()
    groups = [] if config is None else config.node_group_configs
    return [
        NodeKind(
            resources=dict(group.resources),
            labels=None,
            count=inf if group.max_count < 0 else group.max_count,
        )
        for group in groups
    ]


def _is_one_of(kind: NodeKind, addable: Sequence[NodeKind]) -> bool:
    """Whether a registered machine is of a kind that the autoscaler adds."""
    return any(
        all(kind.resources.get(name) == amount for name, amount in other.resources.items())
        for other in addable
    )
