"""Arithmetic of placement: what can never fit, and what is missing right now. Pure functions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from eva_rl.config.node_labels import labels_fit
from eva_rl.config.placement import BYTES_PER_MB, Strategy


@dataclass(frozen=True, kw_only=True)
class NodeKind:
    """Machines of one kind that a cluster has or may get.

    Example:
        NodeKind(resources={"CPU": 16.0, "GPU": 1.0}, labels={"market": "spot"}, count=8)

    Attributes:
        resources: of one machine.
        labels: of every machine of the kind; None where they are not known.
        count: machines at most; math.inf without a limit.
    """

    resources: Mapping[str, float]
    labels: Mapping[str, str] | None = field(default_factory=dict)
    count: float = 1

    def holds(self, bundle: Mapping[str, float], selector: Mapping[str, str]) -> bool:
        """Whether an empty machine of the kind has room for the bundle."""
        has_labels = self.labels is None or labels_fit(selector, self.labels)
        return has_labels and all(self.resources.get(name, 0.0) >= amount for name, amount in bundle.items())


@dataclass(frozen=True, kw_only=True)
class RoleDemand:
    """What one role asks for.

    Attributes:
        role: its section of the settings.
        count: bundles, one per member.
        bundle: resources of one.
        labels: conditions on the machine's labels.
        strategy: how the bundles are spread.
    """

    role: str
    count: int
    bundle: Mapping[str, float]
    labels: Mapping[str, str] = field(default_factory=dict)
    strategy: Strategy = "PACK"

    def __str__(self) -> str:
        conditions = "".join(f", {name}: {text}" for name, text in self.labels.items())
        return f"{self.role} {self.count} x ({amounts(self.bundle)}{conditions}, {self.strategy})"

    @property
    def total(self) -> Mapping[str, float]:
        """Resources of all members."""
        return {name: self.count * amount for name, amount in self.bundle.items()}


def impossibilities(demands: Sequence[RoleDemand], kinds: Sequence[NodeKind]) -> list[str]:
    """Says why the demands can never be met, one sentence each; none means that they may be.

    Only necessary conditions are checked: every bundle fits the best machine, a strict strategy finds its
    machines, and the sum of each resource fits the cluster.

    Args:
        demands: all that must be placed at the same time.
        kinds: all machines that the cluster has or may ever get.
    """
    found = [sentence for demand in demands if (sentence := _misfit(demand, kinds))]
    return found + _excesses(demands, kinds)


def missing(demands: Sequence[RoleDemand], free: Mapping[str, float]) -> Mapping[str, float]:
    """How much of each resource is lacking for the demands that still wait."""
    short = {name: amount - free.get(name, 0.0) for name, amount in _sum(demands).items()}
    return {name: amount for name, amount in short.items() if amount > 1e-9}


def amounts(resources: Mapping[str, float]) -> str:
    """Resources for people: `CPU 4, GPU 1, memory 2048 MB`."""
    return ", ".join(
        f"memory {amount / BYTES_PER_MB:.0f} MB"
        if name == "memory"
        else name
        if name.startswith("accelerator_type:")
        else f"{name} {amount:g}"
        for name, amount in resources.items()
    )


def _misfit(demand: RoleDemand, kinds: Sequence[NodeKind]) -> str | None:
    """A bundle that no machine holds, or a strict strategy without its machines."""
    fitting = [kind for kind in kinds if kind.holds(demand.bundle, demand.labels)]
    if not fitting:
        return f"{demand}: no machine can hold one of them; {_largest(demand, kinds)}"
    if demand.strategy == "STRICT_PACK" and not any(
        kind.holds(demand.total, demand.labels) for kind in fitting
    ):
        return (
            f"{demand}: together they need {amounts(demand.total)} on one machine; "
            f"{_largest(demand, fitting)}; use another strategy or fewer members"
        )
    num_machines = sum(kind.count for kind in fitting)
    if demand.strategy == "STRICT_SPREAD" and num_machines < demand.count:
        return (
            f"{demand}: {demand.count} machines are needed, one each, and {num_machines:g} can hold one; use "
            "SPREAD or fewer members"
        )
    return None


def _largest(demand: RoleDemand, kinds: Sequence[NodeKind]) -> str:
    """The best that there is, resource by resource, among the machines with the right labels."""
    labelled = [kind for kind in kinds if kind.holds({}, demand.labels)]
    if not labelled:
        return "none has these labels"
    best = {name: max(kind.resources.get(name, 0.0) for kind in labelled) for name in demand.bundle}
    return f"the largest has {amounts(best)}"


def _excesses(demands: Sequence[RoleDemand], kinds: Sequence[NodeKind]) -> list[str]:
    found = []
    for name, wanted in _sum(demands).items():
        # an unlimited kind without the resource adds nothing; 0 * inf would be no number
        offers = [kind.count * kind.resources[name] for kind in kinds if kind.resources.get(name, 0.0)]
        if wanted > sum(offers) + 1e-9 and not name.startswith("accelerator_type:"):
            terms = [
                f"{demand.role} {demand.count} x {amounts({name: demand.bundle[name]})}"
                for demand in demands
                if name in demand.bundle
            ]
            both = f"{amounts({name: wanted})} wanted, {amounts({name: sum(offers)})} at most"
            found.append(f"{' + '.join(terms)} = {both}")
    return found


def _sum(demands: Sequence[RoleDemand]) -> Mapping[str, float]:
    names = dict.fromkeys(name for demand in demands for name in demand.bundle)
    return {name: sum(demand.total.get(name, 0.0) for demand in demands) for name in names}
