"""What a run is, beside where it stands: its settings, its code and its data."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from eva_rl.checkpoints.manifest import CheckpointError
from eva_rl.config.align import AlignSettings
from eva_rl.config.section import ConfigError
from eva_rl.driver.condition_schedule import ConditionSchedule
from eva_rl.driver.provenance import code_version
from eva_rl.driver.settings_change import changed_settings, settings_as_data


@dataclass(frozen=True, kw_only=True)
class RunFacts:
    """Facts that every checkpoint of a run repeats.

    Example:
        RunFacts(settings={"run": {"seed": 0, …}, …}, code={"commit": "c878240", "sources": "9f86d081"},
                 data={"num_conditions": 500, "fingerprint": "60303ae22b998861", "groups_per_step": 16})

    Attributes:
        settings: complete, as in settings.yaml.
        code: commit, and a hash of the source files as they really are.
        data: number and hash of the conditions, and how many a training step takes.
    """

    settings: Mapping[str, Any]
    code: Mapping[str, Any]
    data: Mapping[str, Any]

    @classmethod
    def of(cls, settings: AlignSettings, schedule: ConditionSchedule) -> "RunFacts":
        """The facts of a run that starts or continues now."""
        groups_per_step = settings.algorithm.groups_per_step
        return cls(
            settings=settings_as_data(settings),
            code=code_version(),
            data=schedule.provenance() | {"groups_per_step": groups_per_step},
        )

    @classmethod
    def saved(cls, state: Mapping[str, Any]) -> "RunFacts | None":
        """The facts in a checkpoint's state; None where it was written without."""
        if "settings" not in state:
            return None
        return cls(settings=state["settings"], code=state["code"], data=state["data"])

    def at(self, training_step: int) -> dict[str, Any]:
        """The entries of a checkpoint; the cursor says which conditions are consumed."""
        epoch, consumed = divmod(training_step * self.data["groups_per_step"], self.data["num_conditions"])
        cursor = {"epoch": epoch, "num_consumed": consumed}
        return {"settings": self.settings, "code": self.code, "data": self.data, "cursor": cursor}

    def check_continues(self, earlier: "RunFacts") -> None:
        """Refuses to continue another run than the one that wrote a checkpoint.

        Raises:
            ConfigError: settings differ that a resumed run must keep.
            CheckpointError: the conditions are others.
        """
        changes = changed_settings(earlier.settings, self.settings)
        if changes:
            raise ConfigError(
                [
                    f"{change.name} is {change.now!r}, the checkpoint was written with {change.then!r}"
                    for change in changes
                ]
            )
        if self.data != earlier.data:
            raise CheckpointError(
                f"the checkpoint was written on other data: {dict(earlier.data)}, now {dict(self.data)}; "
                "restore the episodes that the run began with, or start another run"
            )
