"""Lift one long roller with both arms, level."""

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from eva_rl.simulators.bimanual.scene_object import SceneObject
from eva_rl.simulators.bimanual.scene_state import SceneState
from eva_rl.simulators.bimanual.tasks.progress import nearness, overall, rise
from eva_rl.simulators.bimanual.tasks.sampling import draw_colours, draw_point
from eva_rl.simulators.bimanual.waypoint import GRASP_S, ToolPose, Waypoint

HALF_LENGTH_M, HALF_THICKNESS_M = 0.17, 0.02
GRASP_FROM_CENTRE_M = 0.12
LIFTED_ABOVE_M = 0.13
MIDDLE = (0.0, -0.14)
# Sine of the angle to the table: 7 degrees.
LARGEST_TILT = 0.12
LARGEST_YAW = 0.2


@dataclass(frozen=True)
class GrabRoller:
    """A roller across the middle of the table; it must end up high in the air and level."""

    x: float
    y: float
    yaw: float
    colour: str

    name: ClassVar[str] = "grab_roller"
    is_goal_momentary: ClassVar[bool] = False
    seen_instructions: ClassVar[tuple[str, ...]] = (
        "both grippers lift the {colour} roller",
        "grab the {colour} roller with both arms and lift it",
        "use the left and the right arm to pick up the {colour} roller",
        "lift the {colour} roller by its two ends",
    )
    unseen_instructions: ClassVar[tuple[str, ...]] = (
        "hold the {colour} roller at both ends and raise it with two arms",
        "with both hands, take the roller that is {colour} off the table",
    )

    @classmethod
    def sample(cls, generator: np.random.Generator) -> Self:
        """Draw a place near the middle, a turn and a colour."""
        x, y = draw_point(generator, x=(-0.06, 0.06), y=(-0.20, -0.06))
        yaw = float(generator.uniform(-LARGEST_YAW, LARGEST_YAW))
        (colour,) = draw_colours(generator, 1)
        return cls(x, y, yaw, colour)

    def objects(self) -> tuple[SceneObject, ...]:
        """Return the roller."""
        return (
            SceneObject(
                "roller",
                "box",
                position=(self.x, self.y, 0.03),
                size=(HALF_LENGTH_M, HALF_THICKNESS_M, HALF_THICKNESS_M),
                colour=self.colour,
                yaw=self.yaw,
            ),
        )

    def words(self) -> dict[str, str]:
        """Return the colour."""
        return {"colour": self.colour}

    def waypoints(self) -> tuple[Waypoint, ...]:
        """Hover at both ends, descend, close, lift, carry to the middle."""
        return (
            Waypoint(self._tools_at((self.x, self.y), 0.11)),
            Waypoint(self._tools_at((self.x, self.y), 0.026)),
            Waypoint(grippers={"left": 0.0, "right": 0.0}, shortest_s=GRASP_S),
            Waypoint(self._tools_at((self.x, self.y), 0.10)),
            Waypoint(self._tools_at(MIDDLE, 0.18, yaw=0.0)),
        )

    def progress(self, state: SceneState) -> float:
        """How near both arms are to the roller's ends, and how far it is lifted while level."""
        centre = state.position("roller")
        along = np.array((np.cos(self.yaw), np.sin(self.yaw), 0)) * GRASP_FROM_CENTRE_M
        reached = [
            nearness(state.tool_position(arm), centre + side * along)
            for arm, side in (("left", -1), ("right", 1))
        ]
        is_level = abs(state.tilt("roller", axis=0)) < LARGEST_TILT
        lifted = is_level * rise(centre[2], start_m=HALF_THICKNESS_M, goal_m=LIFTED_ABOVE_M)
        return overall(*reached, lifted, lifted, is_goal_reached=self.is_goal_reached(state))

    def is_goal_reached(self, state: SceneState) -> bool:
        """Whether the roller is up and level."""
        return (
            state.position("roller")[2] > LIFTED_ABOVE_M and abs(state.tilt("roller", axis=0)) < LARGEST_TILT
        )

    def _tools_at(
        self, place: tuple[float, float], height_m: float, *, yaw: float | None = None
    ) -> dict[str, ToolPose]:
        turn = self.yaw if yaw is None else yaw
        return {
            arm: ToolPose(
                (
                    place[0] + side * GRASP_FROM_CENTRE_M * np.cos(turn),
                    place[1] + side * GRASP_FROM_CENTRE_M * np.sin(turn),
                    height_m,
                ),
                yaw=turn + side * np.pi / 2,
            )
            for arm, side in (("left", -1), ("right", 1))
        }
