"""What the actors of a run need, and how many machines of a group that takes."""

from collections.abc import Mapping
from dataclasses import dataclass

from eva_rl.config.align import AlignSettings
from eva_rl.config.deployment import DeploymentSettings, GroupSettings

ROLE_LABEL = "eva-rl/role"
"""Ray node label of every machine: the group, and so the role, that it was bought for."""
ROUNDING = 1e-9


@dataclass(frozen=True, kw_only=True)
class RoleDemand:
    """What one role of a run asks for.

    Example:
        RoleDemand(count_setting="generators.count", num_actors=16, num_cpus=4.0, num_gpus=1.0)

    Attributes:
        count_setting: setting of the recipe that holds the number of actors.
        num_actors: actors of the role.
        num_cpus, num_gpus: what each of them reserves.
    """

    count_setting: str
    num_actors: int
    num_cpus: float
    num_gpus: float


def demands_of(run: AlignSettings) -> dict[str, RoleDemand]:
    """Reads every role's demand from the settings of a run, by the name of its group."""
    return {
        "generators": _demand(run.generators, "generators.count", run.generators.count),
        "scorers": _demand(run.scorers, "scorers.count", run.scorers.count),
        "learner": _demand(run.learner, "learner.num_ranks", run.learner.num_ranks),
        "evaluators": _demand(run.evaluation, "evaluation.num_evaluators", run.evaluation.num_evaluators),
    }


def actors_per_machine(demand: RoleDemand, machine: GroupSettings) -> int:
    """How many actors of a role one machine holds; an actor's share of a GPU never spans two."""
    fitting = _times(machine.cpus, demand.num_cpus)
    if demand.num_gpus >= 1:
        return min(fitting, _times(machine.gpus, demand.num_gpus))
    if demand.num_gpus > 0:
        return min(fitting, machine.gpus * _times(1, demand.num_gpus))
    return fitting


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
    return problems


def _group_problem(name: str, group: GroupSettings, demand: RoleDemand) -> str | None:
    each = f"{demand.num_cpus:g} CPU and {demand.num_gpus:g} GPU per actor"
    per_machine = actors_per_machine(demand, group)
    if per_machine == 0:
        return (
            f"groups.{name}: a machine with {group.cpus} CPUs and {group.gpus} GPUs holds no actor of the "
            f"role, which asks for {each}; give cpus and gpus that do"
        )
    if group.gpus and not demand.num_gpus:
        return f"groups.{name}.gpus = {group.gpus}, but the role asks for no GPU; set it to 0"
    needed = -(-demand.num_actors // per_machine)
    if needed > group.max_replicas:
        return (
            f"groups.{name}.max_replicas = {group.max_replicas}, but {demand.count_setting} = "
            f"{demand.num_actors} at {each} needs {needed} machines of {per_machine} actors; allow {needed}, "
            f"or set {demand.count_setting} to {group.max_replicas * per_machine}"
        )
    if group.min_replicas > needed:
        return (
            f"groups.{name}.min_replicas = {group.min_replicas}, but {demand.count_setting} = "
            f"{demand.num_actors} fills only {needed}; the rest would be paid for and idle"
        )
    return None


def _demand(section: object, count_setting: str, num_actors: int) -> RoleDemand:
    reserved: Mapping[str, float] = {name: getattr(section, name) for name in ("num_cpus", "num_gpus")}
    return RoleDemand(count_setting=count_setting, num_actors=num_actors, **reserved)


def _times(available: float, each: float) -> int:
    """How often `each` fits; fractions such as 0.1 must not lose one to rounding."""
    return int(available / each + ROUNDING)
