"""Pass a long block from one arm to the other, in the air."""

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from eva_rl.simulators.bimanual.scene_object import SceneObject
from eva_rl.simulators.bimanual.scene_state import SceneState
from eva_rl.simulators.bimanual.tasks.progress import approach, nearness, overall
from eva_rl.simulators.bimanual.tasks.sampling import draw_colours, draw_point
from eva_rl.simulators.bimanual.waypoint import GRASP_S, ToolPose, Waypoint

HALF_LENGTH_M, HALF_WIDTH_M, HALF_HEIGHT_M = 0.11, 0.018, 0.02
GRASP_FROM_CENTRE_M = 0.07
MEETING_POINT, MEETING_HEIGHT_M = (0.0, -0.13), 0.07
TAKEN_PAST_M, LIFTED_ABOVE_M = 0.06, 0.05
# Long enough for each grip: the giver's opening is commanded a frame after the taker's closing.
EXCHANGE_S = 0.3
SIDES = {"left": -1, "right": 1}


@dataclass(frozen=True)
class HandoverBlock:
    """A block in front of the giving arm; the taking arm must hold it in the air on its own side."""

    giver: str
    x: float
    y: float
    colour: str

    name: ClassVar[str] = "handover_block"
    is_goal_momentary: ClassVar[bool] = False
    seen_instructions: ClassVar[tuple[str, ...]] = (
        "hand the {colour} block from the {giver} arm to the {taker} arm",
        "pass the {colour} block from the {giver} to the {taker} gripper",
        "the {giver} arm picks up the {colour} block and hands it over to the {taker} arm",
        "use the {giver} arm to give the {colour} block to the {taker} one",
    )
    unseen_instructions: ClassVar[tuple[str, ...]] = (
        "take the block that is {colour} with the {giver} hand and let the {taker} hand have it",
        "the {taker} arm receives the {colour} block out of the {giver} gripper",
    )

    @classmethod
    def sample(cls, generator: np.random.Generator) -> Self:
        """Draw the giving arm, the block's place on its side, and the colour."""
        giver = str(generator.choice(["left", "right"]))
        x, y = draw_point(generator, x=(0.13, 0.17), y=(-0.16, -0.09))
        (colour,) = draw_colours(generator, 1)
        return cls(giver, SIDES[giver] * x, y, colour)

    @property
    def taker(self) -> str:
        """The other arm."""
        return "right" if self.giver == "left" else "left"

    def objects(self) -> tuple[SceneObject, ...]:
        """Return the block, which lies across."""
        return (
            SceneObject(
                "block",
                "box",
                position=(self.x, self.y, HALF_HEIGHT_M),
                size=(HALF_LENGTH_M, HALF_WIDTH_M, HALF_HEIGHT_M),
                colour=self.colour,
                mass=0.04,
            ),
        )

    def words(self) -> dict[str, str]:
        """Return both arms and the colour."""
        return {"giver": self.giver, "taker": self.taker, "colour": self.colour}

    def waypoints(self) -> tuple[Waypoint, ...]:
        """Grasp the outer end, slide the inner end between the waiting fingers, let go, carry on.

        Both grippers open across the block, so it enters and leaves them along its length.
        """
        giver, taker, block = self.giver, self.taker, (self.x, self.y)
        meeting, handed_over = MEETING_POINT, (SIDES[taker] * 0.11, MEETING_POINT[1])
        drawn_back = (SIDES[giver] * 0.08, MEETING_POINT[1])
        return (
            Waypoint(self._tool(giver, block, 0.07) | self._tool(taker, meeting, MEETING_HEIGHT_M)),
            Waypoint(self._tool(giver, block, 0.024)),
            Waypoint(grippers={giver: 0.0}, shortest_s=GRASP_S),
            Waypoint(self._tool(giver, meeting, MEETING_HEIGHT_M)),
            Waypoint(grippers={taker: 0.0}, shortest_s=EXCHANGE_S),
            Waypoint(grippers={giver: 1.0}, shortest_s=EXCHANGE_S),
            Waypoint(self._tool(taker, handed_over, 0.09) | self._tool(giver, drawn_back, 0.09)),
        )

    def progress(self, state: SceneState) -> float:
        """How near the giver is to the block, how far that is on its way across, and whether it was taken."""
        block = state.position("block")
        goal = np.array((SIDES[self.taker] * TAKEN_PAST_M, MEETING_POINT[1], LIFTED_ABOVE_M))
        carried = approach(block, start=np.array((self.x, self.y, HALF_HEIGHT_M)), goal=goal)
        reached = max(carried, nearness(state.tool_position(self.giver), block))
        is_taken = float(state.is_touched_by_fingers("block", self.taker))
        return overall(reached, carried, carried, is_taken, is_goal_reached=self.is_goal_reached(state))

    def is_goal_reached(self, state: SceneState) -> bool:
        """Whether the taker alone holds the block in the air on its side."""
        block = state.position("block")
        is_across = block[0] * SIDES[self.taker] > TAKEN_PAST_M and block[2] > LIFTED_ABOVE_M
        is_taken = state.is_touched_by_fingers("block", self.taker)
        return bool(is_across and is_taken and not state.is_touched_by_fingers("block", self.giver))

    def _tool(self, arm: str, block_centre: tuple[float, float], height_m: float) -> dict[str, ToolPose]:
        """Return the pose at which an arm holds its end of a block centred there."""
        x = block_centre[0] + SIDES[arm] * GRASP_FROM_CENTRE_M
        return {arm: ToolPose((x, block_centre[1], height_m), yaw=SIDES[arm] * np.pi / 2)}
