"""Lift a bottle and shake it sideways."""

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from eva_rl.simulators.bimanual.scene_object import SceneObject
from eva_rl.simulators.bimanual.scene_state import SceneState
from eva_rl.simulators.bimanual.tasks.progress import nearness, overall, rise
from eva_rl.simulators.bimanual.tasks.sampling import draw_colours, draw_point_on_a_side, nearer_arm
from eva_rl.simulators.bimanual.waypoint import GRASP_S, ToolPose, Waypoint

BOTTLE_RADIUS_M, BOTTLE_HALF_HEIGHT_M = 0.027, 0.05
LIFTED_ABOVE_M = 0.08
SHAKEN_ABOVE_M_PER_S = 0.15
SWING_M = 0.045
NUM_SWINGS = 3


@dataclass(frozen=True)
class ShakeBottle:
    """A standing bottle on one side; it must be held in the air and move sideways briskly."""

    x: float
    y: float
    colour: str

    name: ClassVar[str] = "shake_bottle"
    is_goal_momentary: ClassVar[bool] = True
    seen_instructions: ClassVar[tuple[str, ...]] = (
        "shake the {colour} bottle with the {arm} arm",
        "lift the {colour} bottle with the {arm} gripper and shake it",
        "use the {arm} arm to pick up the {colour} bottle and shake it from side to side",
        "the {arm} arm takes the {colour} bottle and shakes it",
    )
    unseen_instructions: ClassVar[tuple[str, ...]] = (
        "with the {arm} hand, raise the bottle that is {colour} and swing it left and right",
        "give the {colour} bottle a good shake using the {arm} arm",
    )

    @classmethod
    def sample(cls, generator: np.random.Generator) -> Self:
        """Draw the bottle's place, never between the arms, and its colour."""
        x, y = draw_point_on_a_side(generator, from_middle=(0.13, 0.25), y=(-0.20, -0.06))
        (colour,) = draw_colours(generator, 1)
        return cls(x=x, y=y, colour=colour)

    @property
    def arm(self) -> str:
        """The arm on the bottle's side."""
        return nearer_arm(self.x)

    def objects(self) -> tuple[SceneObject, ...]:
        """Return the bottle with a white cap."""
        cap = (
            f'<geom type="cylinder" size="0.018 0.006" pos="0 0 {BOTTLE_HALF_HEIGHT_M + 0.006}" '
            'rgba="0.95 0.95 0.95 1" mass="0.001"/>'
        )
        return (
            SceneObject(
                "bottle",
                "cylinder",
                position=(self.x, self.y, BOTTLE_HALF_HEIGHT_M),
                size=(BOTTLE_RADIUS_M, BOTTLE_HALF_HEIGHT_M),
                colour=self.colour,
                details=cap,
            ),
        )

    def words(self) -> dict[str, str]:
        """Return the arm and the colour."""
        return {"arm": self.arm, "colour": self.colour}

    def waypoints(self) -> tuple[Waypoint, ...]:
        """Hover, descend, close, lift, swing from side to side."""
        swings = (self._tool_at(0.13, SWING_M * (-1) ** number) for number in range(NUM_SWINGS))
        return (
            Waypoint(self._tool_at(0.15)),
            Waypoint(self._tool_at(0.06)),
            Waypoint(grippers={self.arm: 0.0}, shortest_s=GRASP_S),
            Waypoint(self._tool_at(0.13)),
            *(Waypoint(tools) for tools in swings),
        )

    def progress(self, state: SceneState) -> float:
        """How near the arm is to the bottle, how far it is lifted, and how fast it then moves sideways."""
        bottle = state.position("bottle")
        near = nearness(state.tool_position(self.arm), bottle)
        lifted = self._is_held(state) * rise(bottle[2], start_m=BOTTLE_HALF_HEIGHT_M, goal_m=LIFTED_ABOVE_M)
        shaken = lifted * min(1.0, state.sideways_speed("bottle") / SHAKEN_ABOVE_M_PER_S)
        return overall(near, lifted, shaken, is_goal_reached=self.is_goal_reached(state))

    def is_goal_reached(self, state: SceneState) -> bool:
        """Whether the bottle is held in the air and moves sideways fast enough."""
        return bool(
            self._is_held(state)
            and state.position("bottle")[2] > LIFTED_ABOVE_M
            and state.sideways_speed("bottle") > SHAKEN_ABOVE_M_PER_S
        )

    def _is_held(self, state: SceneState) -> bool:
        return state.is_touched_by_fingers("bottle", self.arm)

    def _tool_at(self, height_m: float, sideways_m: float = 0.0) -> dict[str, ToolPose]:
        return {self.arm: ToolPose((self.x + sideways_m, self.y, height_m))}
