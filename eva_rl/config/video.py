"""The shape of the clips, and the robot in them."""

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from eva_rl.config.section import Section

EMBEDDED = "bimanual"
EMBEDDED_TASKS = (
    "click_bell",
    "pick_dual_bottles",
    "grab_roller",
    "place_empty_cup",
    "stack_blocks_two",
    "handover_block",
    "lift_pot",
    "press_stapler",
    "turn_switch",
    "shake_bottle",
)


class VideoSettings(Section):
    """Frames of the imagined clips."""

    height: int = Field(default=48, ge=16, description="Rows of a frame, in pixels.")
    width: int = Field(default=64, ge=16, description="Columns of a frame, in pixels.")
    num_frames: int = Field(default=21, ge=5, description="Frames per clip; the codec needs 4k+1.")
    frame_rate_hz: float = Field(
        default=5.0, gt=0, description="True rate of the frames: joint velocities are computed with it."
    )

    @property
    def frame_period_s(self) -> float:
        """Seconds between two frames."""
        return 1.0 / self.frame_rate_hz


class RobotSettings(Section):
    """The robot whose motion is judged, and the scenes it acts in."""

    embodiment: str = Field(
        default="bimanual",
        description="Row of EMBODIMENTS that holds the joint limits (see eva_rl/embodiments).",
    )
    limits_from: Path | None = Field(
        default=None,
        description="File whose joint limits replace the row's: URDF, MJCF, or YAML written by "
        "`eva-rl limits`. Default: the row as it is.",
    )
    simulator: str = Field(
        default=EMBEDDED,
        description="Simulator that executes decoded motion: bimanual (embedded), robotwin (an install of "
        "it), or none: recorded data only, nothing is executed.",
    )
    tasks: tuple[str, ...] = Field(
        default=(),
        description="Tasks to record, align and evaluate on. Default: the ten of the embedded robot; with "
        "another simulator all that the data holds.",
    )
    robotwin_root: Path | None = Field(
        default=None,
        description="Directory of the RoboTwin install; relative asset paths start there. Default: none.",
    )
    robotwin_package: Literal["envs", "robotwin.envs"] = Field(
        default="envs",
        description="Where RoboTwin's tasks are imported from: envs in a checkout, robotwin.envs in the "
        "package rlinf-robotwin-runtime.",
    )
    robotwin_task_config: str = Field(
        default="demo_clean",
        min_length=1,
        description="RoboTwin's task configuration: demo_clean, demo_randomized or one of your own.",
    )
    robotwin_execution: Literal["take_action", "dense"] = Field(
        default="take_action",
        description="take_action re-times every frame (RoboTwin's own protocol); dense keeps the video's "
        "timing.",
    )

    @model_validator(mode="before")
    @classmethod
    def _embedded_tasks(cls, values: Any) -> Any:
        """The embedded robot has tasks of its own; every other source of scenes says what it has."""
        if not isinstance(values, dict) or values.get("tasks"):
            return values
        is_embedded = values.get("simulator", EMBEDDED) == EMBEDDED
        return {**values, "tasks": EMBEDDED_TASKS if is_embedded else ()}

    @field_validator("limits_from", "robotwin_root")
    @classmethod
    def _absolute(cls, path: Path | None) -> Path | None:
        """Actors may run in another directory."""
        return None if path is None else path.absolute()
