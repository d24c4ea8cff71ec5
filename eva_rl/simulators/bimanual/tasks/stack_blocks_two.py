"""Stack a small block on a larger one with one arm."""

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from eva_rl.simulators.bimanual.scene_object import SceneObject
from eva_rl.simulators.bimanual.scene_state import SceneState
from eva_rl.simulators.bimanual.tasks.progress import approach, nearness, overall
from eva_rl.simulators.bimanual.tasks.sampling import draw_apart_points, draw_colours
from eva_rl.simulators.bimanual.waypoint import GRASP_S, ToolPose, Waypoint

BASE_HALF_SIDE_M = 0.033
TOP_HALF_SIDE_M = 0.024
TOLERANCE_M = 0.024
HEIGHT_TOLERANCE_M = 0.012


@dataclass(frozen=True)
class StackBlocksTwo:
    """Two blocks on the same side; the small one must end on the large one and be let go."""

    arm: str
    top: tuple[float, float]
    base: tuple[float, float]
    colours: tuple[str, str]

    name: ClassVar[str] = "stack_blocks_two"
    is_goal_momentary: ClassVar[bool] = False
    seen_instructions: ClassVar[tuple[str, ...]] = (
        "stack the {top_colour} block on top of the {base_colour} block with the {arm} arm",
        "use the {arm} arm to put the {top_colour} block onto the {base_colour} block",
        "place the small {top_colour} block on the big {base_colour} block with the {arm} gripper",
        "the {arm} arm stacks the {top_colour} block on the {base_colour} one",
    )
    unseen_instructions: ClassVar[tuple[str, ...]] = (
        "build a tower with the {arm} hand, {base_colour} below and {top_colour} above",
        "with the {arm} arm, set the {top_colour} block upon the block that is {base_colour}",
    )

    @classmethod
    def sample(cls, generator: np.random.Generator) -> Self:
        """Draw the arm, a place for the base towards the middle, one for the top block, and two colours."""
        arm = str(generator.choice(["left", "right"]))
        top_x, base_x = ((-0.23, -0.08), (-0.19, -0.06)) if arm == "left" else ((0.08, 0.23), (0.06, 0.19))
        top, base = draw_apart_points(generator, x=(top_x, base_x), y=(-0.19, -0.06), distance_m=0.14)
        top_colour, base_colour = draw_colours(generator, 2)
        return cls(arm, top, base, (top_colour, base_colour))

    def objects(self) -> tuple[SceneObject, ...]:
        """Return the two blocks; the base is heavy enough to stay where it is."""
        return (
            _cube("top", self.top, TOP_HALF_SIDE_M, self.colours[0], mass=0.05),
            _cube("base", self.base, BASE_HALF_SIDE_M, self.colours[1], mass=0.2),
        )

    def words(self) -> dict[str, str]:
        """Return the arm and both colours."""
        return {"arm": self.arm, "top_colour": self.colours[0], "base_colour": self.colours[1]}

    def waypoints(self) -> tuple[Waypoint, ...]:
        """Hover, descend, close, carry high, lower onto the base, open, rise."""
        midway = tuple((start + end) / 2 for start, end in zip(self.top, self.base, strict=True))
        stacked = 2 * BASE_HALF_SIDE_M + TOP_HALF_SIDE_M
        return (
            Waypoint(self._tool_at(self.top, 0.10)),
            Waypoint(self._tool_at(self.top, 0.026)),
            Waypoint(grippers={self.arm: 0.0}, shortest_s=GRASP_S),
            Waypoint(self._tool_at((midway[0], midway[1]), 0.14)),
            Waypoint(self._tool_at(self.base, stacked + 0.004)),
            Waypoint(grippers={self.arm: 1.0}, shortest_s=GRASP_S),
            Waypoint(self._tool_at(self.base, 0.14)),
        )

    def progress(self, state: SceneState) -> float:
        """How near the arm is to the top block, and how far the block is on its way onto the base."""
        top, on_top = state.position("top"), np.array((0, 0, BASE_HALF_SIDE_M + TOP_HALF_SIDE_M))
        start = np.array((*self.top, TOP_HALF_SIDE_M))
        carried = approach(top, start=start, goal=state.position("base") + on_top)
        reached = max(carried, nearness(state.tool_position(self.arm), top))
        return overall(reached, carried, carried, is_goal_reached=self.is_goal_reached(state))

    def is_goal_reached(self, state: SceneState) -> bool:
        """Whether the top block rests on the base and no arm touches it."""
        offset = state.position("top") - state.position("base")
        is_centred = np.abs(offset[:2]).max() < TOLERANCE_M
        is_on_top = abs(offset[2] - BASE_HALF_SIDE_M - TOP_HALF_SIDE_M) < HEIGHT_TOLERANCE_M
        return bool(is_centred and is_on_top and not state.is_touched_by_arm("top"))

    def _tool_at(self, place: tuple[float, float], height_m: float) -> dict[str, ToolPose]:
        return {self.arm: ToolPose((*place, height_m))}


def _cube(
    name: str, place: tuple[float, float], half_side_m: float, colour: str, *, mass: float
) -> SceneObject:
    """Return a block that stands on the table."""
    return SceneObject(
        name,
        "box",
        position=(*place, half_side_m),
        size=(half_side_m, half_side_m, half_side_m),
        colour=colour,
        mass=mass,
    )
