"""Which recorded episodes a run learns from."""

from pathlib import PurePath
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from eva_rl.config.section import Section


def _as_text(value: Any) -> Any:
    return str(value) if isinstance(value, PurePath) else value


class DataSettings(Section):
    """Demonstrations that conditions are drawn from."""

    # Text, not a path: `Path("s3://bucket/demos")` loses a slash.
    directory: Annotated[str | None, BeforeValidator(_as_text)] = Field(
        default=None,
        min_length=1,
        description="Recorded episodes: a directory or URI (s3://, gs://) of RoboTwin HDF5 files, old or new "
        "layout, or of a LeRobot dataset, v2.1 or v3.0. Default: the run records its own in the simulator.",
    )
    encoded: Annotated[str | None, BeforeValidator(_as_text)] = Field(
        default=None,
        min_length=1,
        description="Encoded clips that world-model training reads, as `eva-rl data encode` writes them: a "
        "directory or URI; made there if there are none. Default: encoded/ in the job's directory.",
    )
    camera: str = Field(
        default="head_camera", min_length=1, description="Camera whose pictures are learned from."
    )
    frame_rate_hz: float | None = Field(
        default=None,
        gt=0,
        description="True frame rate of episodes that state none. Default: 250/15 Hz, RoboTwin's.",
    )
    are_mixed_rates_allowed: bool = Field(
        default=False, description="Accept episodes of different frame rates; windows are resampled anyway."
    )
    num_episodes_per_task: int = Field(
        default=24, ge=1, description="Episodes to record per task when data.directory is not given."
    )
    max_episodes_per_task: int | None = Field(
        default=None,
        ge=1,
        description="Read only the first ones of each task, in order of their numbers. Default: all.",
    )
    first_scene_seed: int = Field(default=0, ge=0, description="Scene seed of the first recorded episode.")
    max_damaged_share: float = Field(
        default=0.05, ge=0, le=1, description="Refuse the data when a larger share of its files is damaged."
    )
    is_every_picture_checked: bool = Field(
        default=False,
        description="Decode every picture before anything starts, so that files with a damaged one are left "
        "out. Else only their number, times and ends are looked at: many times faster, and a picture damaged "
        "in its middle stops the run by name when it is read.",
    )
    unseen_instruction_share: float = Field(
        default=0.0, ge=0, le=1, description="Share of training conditions that use an unseen instruction."
    )
