"""What the actors of a run need, and how many machines of a group that takes."""

from dataclasses import dataclass

from eva_rl.config.align import AlignSettings
from eva_rl.config.deployment import DeploymentSettings, GroupSettings, MachineSettings
from eva_rl.config.node_labels import labels_fit
from eva_rl.config.placement import PlacedSection

ROLE_LABEL = "eva-rl/role"
"""Ray node label of every machine: the group, and so the role, that it was bought for."""
ACCELERATOR_LABEL = "ray.io/accelerator-type"
"""Label that Ray itself gives a node with GPUs; declared, so that a group of no machines can be chosen."""
BYTES_PER_GIB = 2**30
ROUNDING = 1e-9


@dataclass(frozen=True, kw_only=True)
class RoleDemand:
    """What one role of a run asks for.

    Example:
        RoleDemand(section="generators", count_setting="generators.count", num_actors=16,
                   each=PlacedSection(num_cpus=4.0, num_gpus=1.0))

    Attributes:
        section: of the recipe's settings.
        count_setting: setting of the recipe that holds the number of actors.
        num_actors: actors of the role, at most.
        each: what each of them asks of its machine.
    """

    section: str
    count_setting: str
    num_actors: int
    each: PlacedSection

    def __str__(self) -> str:
        each = self.each
        memory = f", {each.memory_mb} MB" if each.memory_mb else ""
        custom = "".join(f", {amount:g} {name}" for name, amount in each.custom_resources.items())
        return f"{each.num_cpus:g} CPU and {each.num_gpus:g} GPU{memory}{custom} per actor"


def demands_of(run: AlignSettings) -> dict[str, RoleDemand]:
    """Reads every role's demand from the settings of a run, by the name of its group."""
    evaluation = run.evaluation
    return {
        "generators": _demand("generators", "count", run.generators.num_at_most, run.generators),
        "scorers": _demand("scorers", "count", run.scorers.num_at_most, run.scorers),
        "learner": _demand("learner", "num_ranks", run.learner.num_ranks, run.learner),
        "evaluators": _demand("evaluation", "num_evaluators", evaluation.num_evaluators, evaluation),
    }


def labels_of(name: str, machine: MachineSettings) -> dict[str, str]:
    """Ray node labels of a group's machines."""
    accelerator = {ACCELERATOR_LABEL: machine.gpu_type} if machine.gpu_type else {}
    return {ROLE_LABEL: name} | accelerator | machine.labels


def actors_per_machine(demand: RoleDemand, machine: GroupSettings) -> int:
    """How many actors of a role one machine holds; an actor's share of a GPU never spans two."""
    each = demand.each
    bounds = [_times(machine.cpus, each.num_cpus)]
    if each.num_gpus >= 1:
        bounds.append(_times(machine.gpus, each.num_gpus))
    elif each.num_gpus > 0:
        bounds.append(machine.gpus * _times(1, each.num_gpus))
    if memory := each.bundle.get("memory"):
        bounds.append(_times(machine.memory_gib * BYTES_PER_GIB, memory))
    bounds += [_times(machine.resources.get(name, 0), part) for name, part in each.custom_resources.items()]
    return min(bounds)


def machines_needed(settings: DeploymentSettings, run: AlignSettings) -> dict[str, int]:
    """Machines per group that hold all actors of the run; 1 in `data`, whose work is no fixed number."""
    needed = {
        name: -(-demand.num_actors // actors_per_machine(demand, getattr(settings.groups, name)))
        for name, demand in demands_of(run).items()
    }
    return needed | {"data": max(1, settings.groups.data.min_replicas)}


def agreement_problems(settings: DeploymentSettings, run: AlignSettings) -> list[str]:
    """Where machines and run disagree, one sentence each; empty when all actors can be placed."""
    problems = []
    for name, demand in demands_of(run).items():
        problem = _group_problem(name, getattr(settings.groups, name), demand)
        problems += [problem] if problem else []
    if settings.groups.data.max_replicas == 0:
        problems.append("groups.data.max_replicas must be at least 1: Ray Data works on these machines")
    if run.cluster.placement == "colocated":
        problems.append(
            "cluster.placement = colocated puts all roles on the learner's machines, but here every "
            "role has its own; use disaggregated"
        )
    return problems


def _group_problem(name: str, group: GroupSettings, demand: RoleDemand) -> str | None:
    misfit = _misfit(name, group, demand)
    if misfit is not None:
        return misfit
    per_machine = actors_per_machine(demand, group)
    needed = -(-demand.num_actors // per_machine)
    if needed > group.max_replicas:
        return (
            f"groups.{name}.max_replicas = {group.max_replicas}, but {demand.count_setting} = "
            f"{demand.num_actors} at {demand} needs {needed} machines of {per_machine}; allow {needed} "
            f"or set {demand.count_setting} to {group.max_replicas * per_machine}"
        )
    if group.min_replicas > needed:
        return (
            f"groups.{name}.min_replicas = {group.min_replicas}, but {demand.count_setting} = "
            f"{demand.num_actors} fills only {needed}; the rest would be paid for and idle"
        )
    return None


def _misfit(name: str, group: GroupSettings, demand: RoleDemand) -> str | None:
    """Why a machine of the group can never hold an actor of the role."""
    if actors_per_machine(demand, group) == 0:
        return (
            f"groups.{name}: a machine with {group.cpus} CPUs, {group.gpus} GPUs and {group.memory_gib} GiB "
            f"holds no actor of the role, which asks for {demand}; give one that does"
        )
    if group.gpus and not demand.each.num_gpus:
        return f"groups.{name}.gpus = {group.gpus}, but the role asks for no GPU; set it to 0"
    wanted = demand.each.accelerator_type
    if wanted is not None and wanted != group.gpu_type:
        return f"groups.{name}.gpu_type = {group.gpu_type}, but {demand.section}.accelerator_type = {wanted}"
    labels = labels_of(name, group)
    if not labels_fit(demand.each.labels, labels):
        asked = demand.each.labels
        return f"groups.{name}: the machines' labels {labels} do not meet {demand.section}.labels = {asked}"
    return None


def _demand(section: str, count: str, num_actors: int, each: PlacedSection) -> RoleDemand:
    return RoleDemand(section=section, count_setting=f"{section}.{count}", num_actors=num_actors, each=each)


def _times(available: float, each: float) -> int:
    """How often `each` fits; fractions such as 0.1 must not lose one to rounding."""
    return int(available / each + ROUNDING)
