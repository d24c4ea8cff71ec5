"""Press a bell with the closed gripper of the nearer arm."""

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from eva_rl.simulators.bimanual.scene_object import SceneObject
from eva_rl.simulators.bimanual.scene_state import SceneState
from eva_rl.simulators.bimanual.tasks.progress import nearness, overall
from eva_rl.simulators.bimanual.tasks.sampling import (
    draw_colours,
    draw_point_on_a_side,
    nearer_arm,
    resting_tool,
)
from eva_rl.simulators.bimanual.waypoint import ToolPose, Waypoint

CLEARANCE_M = 0.12
PRESS_M = 0.05
# A frame falls into every dwell, and the servos catch up.
DWELL_S = 0.25
PRESS_SPEED_SHARE = 0.8
CLOSED_BELOW = 0.3


@dataclass(frozen=True)
class ClickBell:
    """A bell on the left or right of the table; the goal is one touch of its button by closed fingers."""

    x: float
    y: float
    colour: str

    name: ClassVar[str] = "click_bell"
    is_goal_momentary: ClassVar[bool] = True
    seen_instructions: ClassVar[tuple[str, ...]] = (
        "use the {arm} arm to click the {colour} bell",
        "press the button of the {colour} bell with the {arm} gripper",
        "click the {colour} bell on the {arm}",
        "ring the {colour} bell with the {arm} arm",
    )
    unseen_instructions: ClassVar[tuple[str, ...]] = (
        "tap the top of the {colour} bell using the {arm} hand",
        "let the {arm} arm ring the bell that is {colour}",
    )

    @classmethod
    def sample(cls, generator: np.random.Generator) -> Self:
        """Draw the bell's place, never between the arms, and its colour."""
        x, y = draw_point_on_a_side(generator, from_middle=(0.08, 0.28), y=(-0.20, -0.05))
        (colour,) = draw_colours(generator, 1)
        return cls(x=x, y=y, colour=colour)

    @property
    def arm(self) -> str:
        """The arm on the bell's side."""
        return nearer_arm(self.x)

    def objects(self) -> tuple[SceneObject, ...]:
        """Return the bell, a drum with a white button."""
        button = (
            '<geom name="button" type="cylinder" size="0.020 0.012" pos="0 0 0.03" rgba="0.95 0.95 0.95 1"/>'
        )
        return (
            SceneObject(
                "bell",
                "cylinder",
                position=(self.x, self.y, 0.02),
                size=(0.045, 0.02),
                colour=self.colour,
                is_movable=False,
                details=button,
            ),
        )

    def words(self) -> dict[str, str]:
        """Return the arm and the colour."""
        return {"arm": self.arm, "colour": self.colour}

    def waypoints(self) -> tuple[Waypoint, ...]:
        """Close and hover, press, dwell, rise, go back."""
        above = {self.arm: ToolPose((self.x, self.y, CLEARANCE_M))}
        down = {self.arm: ToolPose((self.x, self.y, PRESS_M))}
        return (
            Waypoint(above, {self.arm: 0.0}),
            Waypoint(down, speed_share=PRESS_SPEED_SHARE),
            Waypoint(shortest_s=DWELL_S),
            Waypoint(above),
            Waypoint({self.arm: resting_tool(self.arm)}, {self.arm: 1.0}),
        )

    def progress(self, state: SceneState) -> float:
        """How near the closed fingers are to the button."""
        near = nearness(state.tool_position(self.arm), np.array((self.x, self.y, PRESS_M)))
        closed = 1 - state.gripper_opening(self.arm)
        return overall(near, near * closed, is_goal_reached=self.is_goal_reached(state))

    def is_goal_reached(self, state: SceneState) -> bool:
        """Whether the closed fingers of the bell's arm touch the button."""
        return (
            state.is_touched_by_fingers("button", self.arm) and state.gripper_opening(self.arm) < CLOSED_BELOW
        )
