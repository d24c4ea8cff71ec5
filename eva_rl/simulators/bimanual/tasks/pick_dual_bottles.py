"""Lift two bottles at once, one with each arm, and bring them together."""

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from eva_rl.simulators.bimanual.scene_object import SceneObject
from eva_rl.simulators.bimanual.scene_state import SceneState
from eva_rl.simulators.bimanual.tasks.progress import approach, nearness, overall, rise
from eva_rl.simulators.bimanual.tasks.sampling import draw_colours, draw_point
from eva_rl.simulators.bimanual.waypoint import GRASP_S, ToolPose, Waypoint

BOTTLE_RADIUS_M, BOTTLE_HALF_HEIGHT_M = 0.027, 0.05
LIFTED_ABOVE_M = 0.10
MIDDLE = {"left": (-0.11, -0.13), "right": (0.11, -0.13)}
TOLERANCE_M = 0.04


@dataclass(frozen=True)
class PickDualBottles:
    """A standing bottle in front of each arm; both must end in the air near the middle."""

    left: tuple[float, float]
    right: tuple[float, float]
    colours: tuple[str, str]

    name: ClassVar[str] = "pick_dual_bottles"
    is_goal_momentary: ClassVar[bool] = False
    seen_instructions: ClassVar[tuple[str, ...]] = (
        "lift both bottles, {left_colour} on the left and {right_colour} on the right, to the middle",
        "pick up the {left_colour} bottle with the left arm and the {right_colour} bottle with the right arm",
        "use both arms to bring the {left_colour} and the {right_colour} bottle together",
        "raise the {left_colour} bottle on the left together with the {right_colour} one on the right",
    )
    unseen_instructions: ClassVar[tuple[str, ...]] = (
        "grasp the {left_colour} bottle on the left and the {right_colour} bottle on the right, "
        "then hold them up side by side",
        "take one bottle in each hand, left {left_colour}, right {right_colour}, and lift them to the centre",
    )

    @classmethod
    def sample(cls, generator: np.random.Generator) -> Self:
        """Draw a place on each side and two colours."""
        left = draw_point(generator, x=(-0.28, -0.15), y=(-0.20, -0.05))
        right = draw_point(generator, x=(0.15, 0.28), y=(-0.20, -0.05))
        left_colour, right_colour = draw_colours(generator, 2)
        return cls(left, right, (left_colour, right_colour))

    def objects(self) -> tuple[SceneObject, ...]:
        """Return the two bottles."""
        return tuple(
            SceneObject(
                name,
                "cylinder",
                position=(*place, BOTTLE_HALF_HEIGHT_M),
                size=(BOTTLE_RADIUS_M, BOTTLE_HALF_HEIGHT_M),
                colour=colour,
            )
            for name, place, colour in zip(
                ("bottle_left", "bottle_right"), (self.left, self.right), self.colours, strict=True
            )
        )

    def words(self) -> dict[str, str]:
        """Return the two colours by side."""
        return {"left_colour": self.colours[0], "right_colour": self.colours[1]}

    def waypoints(self) -> tuple[Waypoint, ...]:
        """Hover, descend, close, lift, bring together."""
        middle = {arm: ToolPose((*place, 0.17)) for arm, place in MIDDLE.items()}
        return (
            Waypoint(self._tools_at(0.17)),
            Waypoint(self._tools_at(0.07)),
            Waypoint(grippers={"left": 0.0, "right": 0.0}, shortest_s=GRASP_S),
            Waypoint(self._tools_at(0.14)),
            Waypoint(middle),
        )

    def progress(self, state: SceneState) -> float:
        """How near each arm is to its bottle, how far each bottle is lifted and on its way to the middle."""
        stages = []
        for arm, start in (("left", self.left), ("right", self.right)):
            bottle = state.position(f"bottle_{arm}")
            lifted = rise(bottle[2], start_m=BOTTLE_HALF_HEIGHT_M, goal_m=LIFTED_ABOVE_M)
            carried = approach(bottle[:2], start=np.array(start), goal=np.array(MIDDLE[arm]))
            stages += [nearness(state.tool_position(arm), bottle), lifted, lifted * carried]
        return overall(*stages, is_goal_reached=self.is_goal_reached(state))

    def is_goal_reached(self, state: SceneState) -> bool:
        """Whether both bottles are up and at their places in the middle."""
        bottles = {arm: state.position(f"bottle_{arm}") for arm in MIDDLE}
        return all(
            bottle[2] > LIFTED_ABOVE_M and np.abs(bottle[:2] - MIDDLE[arm]).max() < TOLERANCE_M
            for arm, bottle in bottles.items()
        )

    def _tools_at(self, height_m: float) -> dict[str, ToolPose]:
        return {"left": ToolPose((*self.left, height_m)), "right": ToolPose((*self.right, height_m))}
