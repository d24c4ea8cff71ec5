"""Which recorded episodes a run learns from."""

from pathlib import Path

from pydantic import Field

from eva_rl.config.section import Section


class DataSettings(Section):
    """Demonstrations that conditions are drawn from."""

    directory: Path | None = Field(
        default=None,
        description="Recorded episodes (RoboTwin HDF5). Default: the run records its own in the simulator.",
    )
    num_episodes_per_task: int = Field(
        default=24, ge=1, description="Episodes to record per task when data.directory is not given."
    )
    first_scene_seed: int = Field(default=0, ge=0, description="Scene seed of the first recorded episode.")
    max_damaged_share: float = Field(
        default=0.05, ge=0, le=1, description="Refuse the data when a larger share of its files is damaged."
    )
    unseen_instruction_share: float = Field(
        default=0.0, ge=0, le=1, description="Share of training conditions that use an unseen instruction."
    )
