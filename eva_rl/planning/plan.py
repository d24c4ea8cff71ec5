"""The plan of a run: placement and memory of every role, and a forecast where stage times are known."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from eva_rl import pretrained
from eva_rl.config.align import AlignSettings
from eva_rl.planning.forecast import Forecast
from eva_rl.planning.idm_memory import IdmShape, read_idm
from eva_rl.planning.model_shape import ModelShape, read_model_shape
from eva_rl.planning.profile import Profile
from eva_rl.planning.role_memory import (
    RoleMemory,
    encoding_memory,
    generator_memory,
    learner_memory,
    scorer_memory,
)


@dataclass(frozen=True, kw_only=True)
class RoleSeats:
    """What one role asks of the cluster.

    Example:
        RoleSeats(role="generators", count=8, bundle={"CPU": 1.0, "GPU": 1.0}, strategy="PACK")
    """

    role: str
    count: int
    bundle: Mapping[str, float]
    strategy: str


@dataclass(frozen=True, kw_only=True)
class Plan:
    """All that can be said of a run before it starts.

    Attributes:
        seats: bundles per role.
        memory: of one actor per role.
        profile: measured seconds per group; None where none are known.
        forecast: what follows from them; None where none are known.
    """

    seats: tuple[RoleSeats, ...]
    memory: tuple[RoleMemory, ...]
    profile: Profile | None = None
    forecast: Forecast | None = None

    def as_data(self) -> dict[str, Any]:
        """The plan for a JSON file, with the peaks beside their parts."""
        content = asdict(self)
        for row, memory in zip(content["memory"], self.memory, strict=True):
            row["peak_bytes"] = memory.peak_bytes
        if self.forecast is not None:
            content["forecast"]["bottleneck"] = self.forecast.timeline.bottleneck
            content["forecast"]["step_s"] = self.forecast.timeline.step_s
        return content


def seats_of(settings: AlignSettings) -> tuple[RoleSeats, ...]:
    """Bundles of the roles that work during training."""
    roles = (
        ("generators", settings.generators, settings.generators.count),
        ("scorers", settings.scorers, settings.scorers.count),
        ("learner", settings.learner, settings.learner.num_ranks),
    )
    return tuple(
        RoleSeats(role=name, count=count, bundle=dict(role.bundle), strategy=role.strategy)
        for name, role, count in roles
    )


def memory_of(
    settings: AlignSettings, model: ModelShape | None = None, idm: IdmShape | None = None
) -> tuple[RoleMemory, ...]:
    """Memory of one actor of every role.

    Args:
        settings: of the run.
        model: in place of the settings' directory.
        idm: in place of the settings' directory.

    Raises:
        OSError: if a file of a model directory is missing.
        ValueError: if one cannot be read, or holds what is not known here.
    """
    world_model = Path(settings.world_model.directory or pretrained.WORLD_MODEL)
    model = model or read_model_shape(world_model, settings.world_model)
    idm = idm or read_idm(Path(settings.idm.directory or pretrained.IDM))
    return (
        generator_memory(settings, model),
        scorer_memory(settings, model, idm),
        learner_memory(settings, model, idm),
        encoding_memory(settings, model),
    )
