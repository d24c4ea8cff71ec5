"""Put a cup onto a coaster with one arm."""

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from eva_rl.simulators.bimanual.scene_object import SceneObject
from eva_rl.simulators.bimanual.scene_state import SceneState
from eva_rl.simulators.bimanual.tasks.progress import approach, nearness, overall
from eva_rl.simulators.bimanual.tasks.sampling import draw_apart_points, draw_colours
from eva_rl.simulators.bimanual.waypoint import GRASP_S, ToolPose, Waypoint

CUP_RADIUS_M, CUP_HALF_HEIGHT_M = 0.028, 0.03
COASTER_HALF_SIDE_M = 0.06
TOLERANCE_M = 0.035


@dataclass(frozen=True)
class PlaceEmptyCup:
    """A cup and a coaster on the same side; the cup must end within TOLERANCE_M of the coaster's centre."""

    arm: str
    cup: tuple[float, float]
    coaster: tuple[float, float]
    colours: tuple[str, str]

    name: ClassVar[str] = "place_empty_cup"
    is_goal_momentary: ClassVar[bool] = False
    seen_instructions: ClassVar[tuple[str, ...]] = (
        "move the {cup_colour} cup onto the {coaster_colour} coaster with the {arm} arm",
        "use the {arm} arm to place the {cup_colour} cup on the {coaster_colour} coaster",
        "put the empty {cup_colour} cup on the {coaster_colour} coaster with the {arm} gripper",
        "the {arm} arm sets the {cup_colour} cup down on the {coaster_colour} coaster",
    )
    unseen_instructions: ClassVar[tuple[str, ...]] = (
        "with the {arm} hand, bring the {cup_colour} cup to the coaster that is {coaster_colour}",
        "grab the {cup_colour} cup using the {arm} arm and leave it on the {coaster_colour} coaster",
    )

    @classmethod
    def sample(cls, generator: np.random.Generator) -> Self:
        """Draw the arm, two places on its side, and two colours."""
        arm = str(generator.choice(["left", "right"]))
        x_range = (-0.24, -0.08) if arm == "left" else (0.08, 0.24)
        cup, coaster = draw_apart_points(generator, x=(x_range, x_range), y=(-0.18, -0.06), distance_m=0.13)
        cup_colour, coaster_colour = draw_colours(generator, 2)
        return cls(arm, cup, coaster, (cup_colour, coaster_colour))

    def objects(self) -> tuple[SceneObject, ...]:
        """Return the cup, with a dark disc as its opening, and the flat coaster."""
        opening = (
            f'<geom type="cylinder" size="0.02 0.001" pos="0 0 {CUP_HALF_HEIGHT_M}" rgba="0.1 0.1 0.1 1" '
            'mass="0.0001" contype="0" conaffinity="0"/>'
        )
        return (
            SceneObject(
                "cup",
                "cylinder",
                position=(*self.cup, CUP_HALF_HEIGHT_M),
                size=(CUP_RADIUS_M, CUP_HALF_HEIGHT_M),
                colour=self.colours[0],
                details=opening,
            ),
            SceneObject(
                "coaster",
                "box",
                position=(*self.coaster, 0.001),
                size=(COASTER_HALF_SIDE_M, COASTER_HALF_SIDE_M, 0.001),
                colour=self.colours[1],
                is_movable=False,
                is_solid=False,
            ),
        )

    def words(self) -> dict[str, str]:
        """Return the arm and both colours."""
        return {"arm": self.arm, "cup_colour": self.colours[0], "coaster_colour": self.colours[1]}

    def waypoints(self) -> tuple[Waypoint, ...]:
        """Hover, descend, close, carry in an arc, lower, open, rise."""
        midway = tuple((start + end) / 2 for start, end in zip(self.cup, self.coaster, strict=True))
        return (
            Waypoint(self._tool_at(self.cup, 0.11)),
            Waypoint(self._tool_at(self.cup, 0.032)),
            Waypoint(grippers={self.arm: 0.0}, shortest_s=GRASP_S),
            Waypoint(self._tool_at((midway[0], midway[1]), 0.10)),
            Waypoint(self._tool_at(self.coaster, 0.04)),
            Waypoint(grippers={self.arm: 1.0}, shortest_s=GRASP_S),
            Waypoint(self._tool_at(self.coaster, 0.09)),
        )

    def progress(self, state: SceneState) -> float:
        """How near the arm is to the cup, and how far the cup is on its way to the coaster."""
        cup = state.position("cup")
        carried = approach(cup[:2], start=np.array(self.cup), goal=np.array(self.coaster))
        reached = max(carried, nearness(state.tool_position(self.arm), cup))
        return overall(reached, carried, carried, is_goal_reached=self.is_goal_reached(state))

    def is_goal_reached(self, state: SceneState) -> bool:
        """Whether the cup stands on the coaster."""
        cup = state.position("cup")
        return bool(np.abs(cup[:2] - self.coaster).max() < TOLERANCE_M and cup[2] < CUP_HALF_HEIGHT_M + 0.01)

    def _tool_at(self, place: tuple[float, float], height_m: float) -> dict[str, ToolPose]:
        return {self.arm: ToolPose((*place, height_m))}
