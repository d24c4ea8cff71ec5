"""Lift a pot by its two handles, level."""

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from eva_rl.simulators.bimanual.scene_object import SceneObject
from eva_rl.simulators.bimanual.scene_state import SceneState
from eva_rl.simulators.bimanual.tasks.progress import nearness, overall, rise
from eva_rl.simulators.bimanual.tasks.sampling import draw_colours, draw_point
from eva_rl.simulators.bimanual.waypoint import GRASP_S, ToolPose, Waypoint

POT_RADIUS_M, POT_HALF_HEIGHT_M = 0.07, 0.035
HANDLE_FROM_CENTRE_M = 0.115
HANDLE_HEIGHT_M = 0.05
LIFTED_ABOVE_M = 0.10
# Sine of the angle between the pot's axis and the vertical: 7 degrees.
LARGEST_TILT = 0.12
LARGEST_YAW = 0.25
MIDDLE = (0.0, -0.14)
SIDES = {"left": -1, "right": 1}


@dataclass(frozen=True)
class LiftPot:
    """A pot in the middle, turned a little; both arms must hold it in the air without tilting it."""

    x: float
    y: float
    yaw: float
    colour: str

    name: ClassVar[str] = "lift_pot"
    is_goal_momentary: ClassVar[bool] = False
    seen_instructions: ClassVar[tuple[str, ...]] = (
        "lift the {colour} pot with both arms",
        "grasp the two handles of the {colour} pot and raise it",
        "use the left and the right arm to lift the {colour} pot level",
        "both grippers take the {colour} pot by its handles and lift it",
    )
    unseen_instructions: ClassVar[tuple[str, ...]] = (
        "with two hands, hold the pot that is {colour} and bring it up without tilting",
        "raise the {colour} cooking pot by both of its handles",
    )

    @classmethod
    def sample(cls, generator: np.random.Generator) -> Self:
        """Draw a place near the middle, a turn and a colour."""
        x, y = draw_point(generator, x=(-0.06, 0.06), y=(-0.18, -0.08))
        yaw = float(generator.uniform(-LARGEST_YAW, LARGEST_YAW))
        (colour,) = draw_colours(generator, 1)
        return cls(x, y, yaw, colour)

    def objects(self) -> tuple[SceneObject, ...]:
        """Return the pot, with a dark disc as its inside and two handles."""
        handle_z = HANDLE_HEIGHT_M - POT_HALF_HEIGHT_M
        handles = "".join(
            f'<geom name="{name}" type="box" size="0.05 0.012 0.012" pos="{x} 0 {handle_z}" '
            'rgba="0.35 0.35 0.38 1" mass="0.01" friction="1.5 0.02 0.001" condim="4"/>'
            for name, x in (("handle_of_left", -0.1), ("handle_of_right", 0.1))
        )
        inside = (
            f'<geom type="cylinder" size="0.055 0.001" pos="0 0 {POT_HALF_HEIGHT_M}" rgba="0.1 0.1 0.1 1" '
            'mass="0.0001" contype="0" conaffinity="0"/>'
        )
        return (
            SceneObject(
                "pot",
                "cylinder",
                position=(self.x, self.y, POT_HALF_HEIGHT_M),
                size=(POT_RADIUS_M, POT_HALF_HEIGHT_M),
                colour=self.colour,
                mass=0.12,
                details=handles + inside,
                yaw=self.yaw,
            ),
        )

    def words(self) -> dict[str, str]:
        """Return the colour."""
        return {"colour": self.colour}

    def waypoints(self) -> tuple[Waypoint, ...]:
        """Hover over both handles, descend, close, lift, carry to the middle."""
        return (
            Waypoint(self._tools_at(0.13)),
            Waypoint(self._tools_at(HANDLE_HEIGHT_M)),
            Waypoint(grippers={"left": 0.0, "right": 0.0}, shortest_s=GRASP_S),
            Waypoint(self._tools_at(HANDLE_HEIGHT_M + 0.06)),
            Waypoint(self._tools_at(HANDLE_HEIGHT_M + 0.13, place=MIDDLE, yaw=0.0)),
        )

    def progress(self, state: SceneState) -> float:
        """How near both arms are to the handles, and how far the pot is lifted while level."""
        centre = state.position("pot")
        reached = [
            nearness(state.tool_position(arm), np.array(_handle(side, centre, yaw=self.yaw)))
            for arm, side in SIDES.items()
        ]
        lifted = self._is_level(state) * rise(centre[2], start_m=POT_HALF_HEIGHT_M, goal_m=LIFTED_ABOVE_M)
        return overall(*reached, lifted, lifted, is_goal_reached=self.is_goal_reached(state))

    def is_goal_reached(self, state: SceneState) -> bool:
        """Whether the pot is up and level."""
        return bool(state.position("pot")[2] > LIFTED_ABOVE_M and self._is_level(state))

    def _is_level(self, state: SceneState) -> bool:
        return max(abs(state.tilt("pot", axis=0)), abs(state.tilt("pot", axis=1))) < LARGEST_TILT

    def _tools_at(
        self, height_m: float, *, place: tuple[float, float] | None = None, yaw: float | None = None
    ) -> dict[str, ToolPose]:
        """Return the poses at the handles of a pot at a place, by default where it starts."""
        turn = self.yaw if yaw is None else yaw
        centre = np.array((*((self.x, self.y) if place is None else place), height_m))
        return {
            arm: ToolPose(_handle(side, centre, yaw=turn), yaw=turn + side * np.pi / 2)
            for arm, side in SIDES.items()
        }


def _handle(side: int, centre: np.ndarray, *, yaw: float) -> tuple[float, float, float]:
    """Return the point of a handle that is gripped, at the height of the centre given."""
    along = side * HANDLE_FROM_CENTRE_M
    return float(centre[0] + along * np.cos(yaw)), float(centre[1] + along * np.sin(yaw)), float(centre[2])
