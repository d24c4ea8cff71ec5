"""All running actors of an alignment run."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from eva_rl.actors.generator import Generator
from eva_rl.actors.learner import Learner
from eva_rl.actors.learner_group import LearnerGroup
from eva_rl.actors.placement import Placement, RolePlacements, place_roles
from eva_rl.actors.pool import GeneratorPool, ScorerPool, start_actors
from eva_rl.actors.scorer import Scorer
from eva_rl.config.align import AlignSettings
from eva_rl.records.calibration import Calibration


@dataclass(frozen=True, kw_only=True)
class Roles:
    """Generators, scorers and learner, placed and started.

    Attributes:
        placements: the reserved machines.
    """

    generators: GeneratorPool
    scorers: ScorerPool
    learner: LearnerGroup
    placements: RolePlacements

    def prepare(self, calibration: Calibration) -> None:
        """Tells every scorer and learner rank what was found out with the base policy."""
        self.scorers.set_penalty_scale(calibration.penalty_scale)
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
        tell: receives a line while machines are missing.

    Raises:
        PlacementError: when they can never fit, or the machines do not appear in time.
    """
    placed = place_roles(settings, tell=tell)

    def start(role: type, where: Placement, *arguments: object) -> list[Any]:
        return start_actors(
            role, where.bundles, group=where.group, resources=where.wanted, arguments=arguments
        )

    return Roles(
        generators=GeneratorPool(
            start(Generator, placed.generators, settings, world_model),
            groups_per_call=settings.generators.groups_per_call,
        ),
        scorers=ScorerPool(start(Scorer, placed.scorers, settings, world_model, idm)),
        learner=LearnerGroup(start(Learner, placed.learner, settings, world_model, idm)),
        placements=placed,
    )
