"""What the joints of one robot arm and its gripper can do."""

from dataclasses import dataclass, fields


@dataclass(frozen=True)
class JointLimits:
    """Limits of one arm and its gripper, joints in chain order.

    Example: `JointLimits(position_low=(-3.1, 0.0), position_high=(3.1, 2.0), velocity=(3.0, 3.0),
    acceleration=(10.0, 10.0), gripper_velocity=2.0, gripper_acceleration=10.0)` is a two-joint arm.

    Attributes:
        position_low: lowest joint angles, rad, one per joint.
        position_high: highest joint angles, rad.
        velocity: largest joint speeds, rad/s.
        acceleration: largest joint accelerations, rad/s^2.
        gripper_velocity: largest gripper speed, 1/s, where 0 is closed and 1 is open.
        gripper_acceleration: largest gripper acceleration, 1/s^2.
        jerk: largest joint jerks, rad/s^3; None where no figure exists.
        torque: largest joint torques, N m; None where no figure exists.
    """

    position_low: tuple[float, ...]
    position_high: tuple[float, ...]
    velocity: tuple[float, ...]
    acceleration: tuple[float, ...]
    gripper_velocity: float
    gripper_acceleration: float
    jerk: tuple[float, ...] | None = None
    torque: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        """Refuse rows whose figures do not belong to the same number of joints."""
        for field in fields(self):
            values = getattr(self, field.name)
            if isinstance(values, tuple) and len(values) != self.num_joints:
                raise ValueError(
                    f"JointLimits.{field.name} has {len(values)} figures for an arm of {self.num_joints} "
                    "joints (the length of position_low); give one figure per joint"
                )
        if any(low >= high for low, high in zip(self.position_low, self.position_high, strict=True)):
            raise ValueError(
                f"JointLimits: every position_low must lie below its position_high, got {self.position_low} "
                f"and {self.position_high}"
            )

    @property
    def num_joints(self) -> int:
        """Number of joints of the arm, the gripper not counted."""
        return len(self.position_low)
