"""Push a switch's lever over to its other side with the closed gripper of the nearer arm."""

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from eva_rl.simulators.bimanual.scene_object import SceneObject
from eva_rl.simulators.bimanual.scene_state import SceneState
from eva_rl.simulators.bimanual.tasks.progress import nearness, overall
from eva_rl.simulators.bimanual.tasks.sampling import draw_colours, draw_point_on_a_side, nearer_arm
from eva_rl.simulators.bimanual.waypoint import ToolPose, Waypoint

BASE_HALF_SIZE_M = (0.055, 0.035, 0.015)
LEVER_HALF_LENGTH_M = 0.04
# The lever must not scrape over its base.
LEVER_GAP_M = 0.014
LEAN_RAD = 0.5
TURNED_ABOVE_RAD = 0.3
HOVER_M, PUSH_M = 0.16, 0.085
BEFORE_M, BEHIND_M = 0.10, 0.03
PUSH_SPEED_SHARE = 0.8
DWELL_S = 0.25


@dataclass(frozen=True)
class TurnSwitch:
    """A switch on the left or right; its lever leans to one side and must end leaning to the other."""

    x: float
    y: float
    direction: str
    colour: str

    name: ClassVar[str] = "turn_switch"
    is_goal_momentary: ClassVar[bool] = False
    seen_instructions: ClassVar[tuple[str, ...]] = (
        "turn the {colour} switch to the {direction} with the {arm} arm",
        "use the {arm} gripper to push the lever of the {colour} switch {direction}",
        "the {arm} arm flips the {colour} switch to the {direction}",
        "push the {colour} switch over to the {direction} with the {arm} arm",
    )
    unseen_instructions: ClassVar[tuple[str, ...]] = (
        "with the {arm} hand, toggle the switch that is {colour} so that it points {direction}",
        "let the {arm} arm move the {colour} lever to its {direction} side",
    )

    @classmethod
    def sample(cls, generator: np.random.Generator) -> Self:
        """Draw the switch's place, never between the arms, the side to turn it to, and its colour."""
        x, y = draw_point_on_a_side(generator, from_middle=(0.14, 0.22), y=(-0.19, -0.07))
        direction = str(generator.choice(["left", "right"]))
        (colour,) = draw_colours(generator, 1)
        return cls(x=x, y=y, direction=direction, colour=colour)

    @property
    def arm(self) -> str:
        """The arm on the switch's side."""
        return nearer_arm(self.x)

    @property
    def sign(self) -> int:
        """Sign of the push along the world's x axis."""
        return 1 if self.direction == "right" else -1

    def objects(self) -> tuple[SceneObject, ...]:
        """Return the base with its lever, which friction keeps where it was pushed to."""
        start = -self.sign * LEAN_RAD
        low, high = sorted((0.0, -2 * start))
        lever = (
            f'<body name="lever" pos="0 0 {BASE_HALF_SIZE_M[2]}" euler="0 {start} 0">'
            f'<joint name="pivot" type="hinge" axis="0 1 0" range="{low} {high}" '
            'damping="0.02" frictionloss="0.08" armature="0.0005"/>'
            f'<geom name="lever" type="box" size="0.014 0.026 {LEVER_HALF_LENGTH_M}" '
            f'pos="0 0 {LEVER_HALF_LENGTH_M + LEVER_GAP_M}" rgba="0.95 0.95 0.95 1" mass="0.02" condim="4"/>'
            "</body>"
        )
        return (
            SceneObject(
                "switch",
                "box",
                position=(self.x, self.y, BASE_HALF_SIZE_M[2]),
                size=BASE_HALF_SIZE_M,
                colour=self.colour,
                is_movable=False,
                details=lever,
            ),
        )

    def words(self) -> dict[str, str]:
        """Return the arm, the direction and the colour."""
        return {"arm": self.arm, "direction": self.direction, "colour": self.colour}

    def waypoints(self) -> tuple[Waypoint, ...]:
        """Close and hover beside the lever, descend, push through, rise."""
        return (
            Waypoint(self._tool_at(-BEFORE_M, HOVER_M), {self.arm: 0.0}),
            Waypoint(self._tool_at(-BEFORE_M, PUSH_M)),
            Waypoint(self._tool_at(BEHIND_M, PUSH_M), speed_share=PUSH_SPEED_SHARE),
            Waypoint(shortest_s=DWELL_S),
            Waypoint(self._tool_at(0.0, HOVER_M)),
        )

    def progress(self, state: SceneState) -> float:
        """How near the tool comes to the lever, and how far that is turned."""
        turned = np.clip((self._lean(state) + LEAN_RAD) / (TURNED_ABOVE_RAD + LEAN_RAD), 0, 1)
        beside = np.array((self.x - self.sign * BEFORE_M / 2, self.y, PUSH_M))
        reached = max(turned, nearness(state.tool_position(self.arm), beside))
        return overall(reached, turned, turned, is_goal_reached=self.is_goal_reached(state))

    def is_goal_reached(self, state: SceneState) -> bool:
        """Whether the lever leans to the other side."""
        return self._lean(state) > TURNED_ABOVE_RAD

    def _lean(self, state: SceneState) -> float:
        """Return the lever's angle to the vertical, rad, positive towards the wanted side."""
        return float(-self.sign * np.arcsin(np.clip(state.tilt("lever", axis=0), -1, 1)))

    def _tool_at(self, past_m: float, height_m: float) -> dict[str, ToolPose]:
        """Return the pose so far past the switch's middle in the direction of the push, fingers in a row."""
        place = (self.x + self.sign * past_m, self.y, height_m)
        return {self.arm: ToolPose(place, yaw=-np.pi / 2 if self.arm == "left" else np.pi / 2)}
