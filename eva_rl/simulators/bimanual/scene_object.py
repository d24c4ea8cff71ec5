"""The things that lie on the table."""

from dataclasses import dataclass

COLOURS: dict[str, tuple[float, float, float]] = {
    "red": (0.85, 0.10, 0.10),
    "blue": (0.12, 0.15, 0.85),
    "green": (0.10, 0.60, 0.15),
}


@dataclass(frozen=True)
class SceneObject:
    """One primitive solid, or a flat mark on the table.

    Example: `SceneObject("bell", "cylinder", position=(0.1, -0.1, 0.02), size=(0.045, 0.02), colour="red",
    is_movable=False)`.

    Attributes:
        name: name of its body and of its geom.
        shape: MuJoCo primitive, "box" or "cylinder".
        position: centre at the start, m.
        size: MuJoCo half sizes, m: box (x, y, z), cylinder (radius, half height).
        colour: a key of COLOURS.
        is_movable: whether it can be pushed and lifted.
        is_solid: False for marks that everything passes through.
        mass: kg, for movable objects.
        details: MJCF of further geoms, or of parts on hinges, in the object's frame.
        yaw: turn about the vertical, rad.
    """

    name: str
    shape: str
    position: tuple[float, float, float]
    size: tuple[float, ...]
    colour: str
    is_movable: bool = True
    is_solid: bool = True
    mass: float = 0.05
    details: str = ""
    yaw: float = 0.0
