"""All running actors of an alignment run."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from eva_rl.actors.dispatcher import Dispatcher
from eva_rl.actors.generator import Generator
from eva_rl.actors.learner import Learner
from eva_rl.actors.learner_group import LearnerGroup
from eva_rl.actors.member import Place
from eva_rl.actors.placement import Placement, RolePlacements, place_roles
from eva_rl.actors.pool import RolePool, start_actor
from eva_rl.actors.scorer import Scorer
from eva_rl.actors.sleeping_roles import SleepingGenerator, SleepingLearner, SleepingScorer
from eva_rl.config.align import AlignSettings
from eva_rl.records.calibration import Calibration

GENERATOR, SCORER = "generator", "scorer"

ROLES = (Generator, Scorer, Learner)
SLEEPING_ROLES = (SleepingGenerator, SleepingScorer, SleepingLearner)


@dataclass(frozen=True, kw_only=True)
class Roles:
    """Generators, scorers and learner, placed and started.

    Attributes:
        dispatcher: gives work to generators and scorers.
        learner: the DeepSpeed ranks.
        placements: the reserved machines.
    """

    dispatcher: Dispatcher
    learner: LearnerGroup
    placements: RolePlacements

    def prepare(self, calibration: Calibration) -> None:
        """Tells every scorer and learner rank what was found out with the base policy."""
        self.dispatcher.pools[SCORER].prepare("set_penalty_scale", calibration.penalty_scale)
        self.learner.prepare(calibration)

    def stop(self) -> None:
        """Stops every actor and gives the machines back."""
        self.placements.release()


def start_roles(settings: AlignSettings, *, world_model: str, idm: str, tell: Callable[[str], None]) -> Roles:
    """Places and starts all roles; returns while they are still loading their models.

    Args:
        settings: counts, resources and everything the roles need.
        world_model: pipeline directory, visible to every machine.
        idm: inverse dynamics model directory, visible to every machine.
        tell: receives a line while machines are missing, and for every fault later on.

    Raises:
        PlacementError: when they can never fit, or the machines do not appear in time.
    """
    placed = place_roles(settings, tell=tell)

    def starter(role: type, where: Placement, *arguments: object) -> Callable[[Place], Any]:
        return lambda place: start_actor(role, place, resources=where.wanted, arguments=arguments)

    dispatcher = Dispatcher(settings.faults, tell=tell)
    classes = SLEEPING_ROLES if settings.cluster.idle_roles_sleep else ROLES
    generator_class, scorer_class, learner_class = classes
    generator = starter(generator_class, placed.generators, settings, world_model)
    dispatcher.employ(RolePool(GENERATOR, generator, placed.generators.places))
    scorer = starter(scorer_class, placed.scorers, settings, world_model, idm)
    dispatcher.employ(RolePool(SCORER, scorer, placed.scorers.places))
    learner = LearnerGroup(
        starter(learner_class, placed.learner, settings, world_model, idm),
        placed.learner.places,
        collect=dispatcher.collect,
        deadline_s=settings.faults.learning_deadline_s,
    )
    return Roles(dispatcher=dispatcher, learner=learner, placements=placed)
