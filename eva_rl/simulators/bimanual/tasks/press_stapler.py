"""Press a stapler's sprung arm down with the closed gripper of the nearer arm."""

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

HALF_LENGTH_M, HALF_WIDTH_M, BASE_HALF_HEIGHT_M = 0.08, 0.024, 0.012
HINGE_HEIGHT_M = 0.036
OPEN_ANGLE_RAD = 0.42
# Down to where the arm meets the base, but for the last tenth of its way.
PRESSED_BELOW_RAD = 0.1
PRESS_FROM_HINGE_M = 0.115
CLEARANCE_M, PRESS_M = 0.15, 0.046
DWELL_S = 0.25
PRESS_SPEED_SHARE = 0.8
LARGEST_YAW = 0.4


@dataclass(frozen=True)
class PressStapler:
    """A stapler on the left or right, its open end to the front; the goal is one full stroke of its arm."""

    x: float
    y: float
    yaw: float
    colour: str

    name: ClassVar[str] = "press_stapler"
    is_goal_momentary: ClassVar[bool] = True
    seen_instructions: ClassVar[tuple[str, ...]] = (
        "press the {colour} stapler with the {arm} arm",
        "use the {arm} gripper to push the {colour} stapler down",
        "press down the {colour} stapler on the {arm}",
        "the {arm} arm presses the {colour} stapler shut",
    )
    unseen_instructions: ClassVar[tuple[str, ...]] = (
        "staple once with the {colour} stapler using the {arm} hand",
        "let the {arm} arm push the stapler that is {colour} until it closes",
    )

    @classmethod
    def sample(cls, generator: np.random.Generator) -> Self:
        """Draw the stapler's place, never between the arms, its turn and its colour."""
        x, y = draw_point_on_a_side(generator, from_middle=(0.10, 0.26), y=(-0.17, -0.06))
        yaw = float(generator.uniform(-LARGEST_YAW, LARGEST_YAW))
        (colour,) = draw_colours(generator, 1)
        return cls(x=x, y=y, yaw=yaw, colour=colour)

    @property
    def arm(self) -> str:
        """The arm on the stapler's side."""
        return nearer_arm(self.x)

    def objects(self) -> tuple[SceneObject, ...]:
        """Return the base, with the sprung arm on a hinge at its far end.

        Along the base's own y axis: the hinge at +HALF_LENGTH_M, the open end at -HALF_LENGTH_M.
        """
        hinge_z = HINGE_HEIGHT_M - BASE_HALF_HEIGHT_M
        lever = (
            f'<body name="lever" pos="0 {HALF_LENGTH_M} {hinge_z}">'
            f'<joint name="hinge" type="hinge" axis="-1 0 0" range="0 {OPEN_ANGLE_RAD}" stiffness="1.2" '
            f'springref="{OPEN_ANGLE_RAD + 0.2}" damping="0.03" armature="0.0005"/>'
            f'<geom name="lever" type="box" size="{HALF_WIDTH_M} {HALF_LENGTH_M} 0.011" '
            f'pos="0 {-HALF_LENGTH_M} 0" rgba="0.95 0.95 0.95 1" mass="0.03" condim="4" '
            'friction="1 0.02 0.001"/>'
            "</body>"
        )
        return (
            SceneObject(
                "stapler",
                "box",
                position=(self.x, self.y, BASE_HALF_HEIGHT_M),
                size=(HALF_WIDTH_M + 0.008, HALF_LENGTH_M, BASE_HALF_HEIGHT_M),
                colour=self.colour,
                is_movable=False,
                details=lever,
                yaw=self.yaw,
            ),
        )

    def words(self) -> dict[str, str]:
        """Return the arm and the colour."""
        return {"arm": self.arm, "colour": self.colour}

    def waypoints(self) -> tuple[Waypoint, ...]:
        """Close and hover, press, dwell, rise, go back."""
        above, down = self._tool_at(CLEARANCE_M), self._tool_at(PRESS_M)
        return (
            Waypoint(above, {self.arm: 0.0}),
            Waypoint(down, speed_share=PRESS_SPEED_SHARE),
            Waypoint(shortest_s=DWELL_S),
            Waypoint(above),
            Waypoint({self.arm: resting_tool(self.arm)}, {self.arm: 1.0}),
        )

    def progress(self, state: SceneState) -> float:
        """How near the tool is to the arm's open end, and how far that is pressed."""
        end = np.array(self._tool_at(PRESS_M)[self.arm].position)
        near = nearness(state.tool_position(self.arm), end)
        pressed = np.clip(1 - _angle(state) / OPEN_ANGLE_RAD, 0, 1)
        return overall(near, pressed, is_goal_reached=self.is_goal_reached(state))

    def is_goal_reached(self, state: SceneState) -> bool:
        """Whether the arm is pressed down."""
        return _angle(state) < PRESSED_BELOW_RAD

    def _tool_at(self, height_m: float) -> dict[str, ToolPose]:
        """Return the pose over the arm's open end, fingers side by side across it."""
        from_centre = HALF_LENGTH_M - PRESS_FROM_HINGE_M
        x = self.x - from_centre * np.sin(self.yaw)
        y = self.y + from_centre * np.cos(self.yaw)
        return {self.arm: ToolPose((float(x), float(y), height_m), yaw=self.yaw)}


def _angle(state: SceneState) -> float:
    """Return how far the sprung arm is open, rad."""
    return float(-np.arcsin(np.clip(state.tilt("lever", axis=1), -1, 1)))
