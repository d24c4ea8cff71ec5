"""What an expert's plan is made of: tool poses in a row."""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float

# A gripper closes within two frames at 5 Hz, wherever its segment begins between frames.
GRASP_S = 0.4


@dataclass(frozen=True)
class ToolPose:
    """A tool point with the fingers pointing down.

    Attributes:
        position: point between the finger tips, world frame, m.
        yaw: turn about the vertical, rad; at 0 the fingers open along the world's x axis.
    """

    position: tuple[float, float, float]
    yaw: float = 0.0

    def rotation(self) -> Float[np.ndarray, "3 3"]:
        """Return the tool's axes as columns: approach, finger opening, and their cross product."""
        approach = np.array([0.0, 0.0, -1.0])
        opening = np.array([-np.cos(self.yaw), -np.sin(self.yaw), 0.0])
        return np.stack([approach, opening, np.cross(approach, opening)], axis=1)


@dataclass(frozen=True)
class Waypoint:
    """One segment of an expert's plan: what is true when it ends.

    A segment lasts as long as the fastest joint needs (see `retiming`), unless it says otherwise.

    Example: `Waypoint({"left": ToolPose((0.1, -0.1, 0.03))}, grippers={"left": 0.0}, speed_share=0.7)`.

    Attributes:
        tools: pose that each moving arm reaches at the end; arms left out stay where they are.
        grippers: command of each changed gripper, given from one frame period after the segment's start.
        shortest_s: the least time the segment takes, for grasps to close and contacts to settle.
        speed_share: share of the experts' speed, below 1 where contact asks for care.
    """

    tools: dict[str, ToolPose] = field(default_factory=dict)
    grippers: dict[str, float] = field(default_factory=dict)
    shortest_s: float = 0.0
    speed_share: float = 1.0
