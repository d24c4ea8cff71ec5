"""A robot as the reward and the simulators see it: an action layout with limits."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float

from eva_rl.embodiments.joint_limits import JointLimits


@dataclass(frozen=True)
class Embodiment:
    """Arms in action order; an action is each arm's joints, then its gripper (0 closed .. 1 open).

    Example: two six-joint arms give D = 14, `gripper_indices == (6, 13)` and
    `arm_indices == (0, 1, 2, 3, 4, 5, 7, 8, 9, 10, 11, 12)`.

    Attributes:
        name: key of the table EMBODIMENTS.
        arm_names: one name per arm, in action order.
        arms: one JointLimits per arm, in action order.
        source: where the published figures come from.
        own_settings: names of the JointLimits fields that nobody published and this project set itself.
        notes: what a reader of the figures must know, empty when nothing.
        mirror_signs: for two equal arms that stand as mirror images: 1 for every joint of an arm that reads
            the same in the other arm's mirror image, -1 for every one that turns the other way. None where
            nobody has said so.
    """

    name: str
    arm_names: tuple[str, ...]
    arms: tuple[JointLimits, ...]
    source: str
    own_settings: tuple[str, ...] = ()
    notes: str = ""
    mirror_signs: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        """Refuse a row whose arms and names do not match."""
        if len(self.arm_names) != len(self.arms) or not self.arms:
            raise ValueError(
                f"embodiment {self.name!r} names {len(self.arm_names)} arms but has limits of "
                f"{len(self.arms)}; give one JointLimits per name"
            )
        if self.mirror_signs is not None:
            self._check_mirror(self.mirror_signs)

    def _check_mirror(self, signs: tuple[float, ...]) -> None:
        counts = [arm.num_joints for arm in self.arms]
        if counts != [len(signs)] * 2 or not set(signs) <= {1.0, -1.0}:
            raise ValueError(
                f"embodiment {self.name!r}: mirror_signs must be 1 or -1 per joint of an arm, of two equal "
                f"arms, got {signs} for arms of {counts} joints"
            )

    @property
    def dimension(self) -> int:
        """Length D of an action: the joints of all arms and one gripper per arm."""
        return sum(arm.num_joints + 1 for arm in self.arms)

    @cached_property
    def gripper_indices(self) -> tuple[int, ...]:
        """Places of the grippers in an action, one per arm."""
        ends = np.cumsum([arm.num_joints + 1 for arm in self.arms])
        return tuple(int(end) - 1 for end in ends)

    @cached_property
    def arm_indices(self) -> tuple[int, ...]:
        """Places of the arm joints in an action, the grippers left out."""
        return tuple(index for index in range(self.dimension) if index not in self.gripper_indices)

    @cached_property
    def arm_of_dimension(self) -> tuple[int, ...]:
        """Number of the arm that each place of an action belongs to, its gripper included."""
        return tuple(number for number, arm in enumerate(self.arms) for _ in range(arm.num_joints + 1))

    def joints_of(self, arm_name: str) -> slice:
        """Return the slice of an action that holds one arm's joints, its gripper left out."""
        if arm_name not in self.arm_names:
            raise ValueError(f"embodiment {self.name!r} has the arms {self.arm_names}, not {arm_name!r}")
        arm_number = self.arm_names.index(arm_name)
        end = self.gripper_indices[arm_number]
        return slice(end - self.arms[arm_number].num_joints, end)

    @cached_property
    def lower(self) -> Float[np.ndarray, " D"]:
        """Lowest positions [D], rad; 0 for grippers."""
        return _per_dimension((arm.position_low, 0.0) for arm in self.arms)

    @cached_property
    def upper(self) -> Float[np.ndarray, " D"]:
        """Highest positions [D], rad; 1 for grippers."""
        return _per_dimension((arm.position_high, 1.0) for arm in self.arms)

    @cached_property
    def velocity(self) -> Float[np.ndarray, " D"]:
        """Largest speeds [D], rad/s; 1/s for grippers."""
        return _per_dimension((arm.velocity, arm.gripper_velocity) for arm in self.arms)

    @cached_property
    def acceleration(self) -> Float[np.ndarray, " D"]:
        """Largest accelerations [D], rad/s^2; 1/s^2 for grippers."""
        return _per_dimension((arm.acceleration, arm.gripper_acceleration) for arm in self.arms)


def _per_dimension(arms: Iterable[tuple[tuple[float, ...], float]]) -> Float[np.ndarray, " D"]:
    """Lay (joints, gripper) figures of every arm out in action order; the result is read-only."""
    values = np.array([figure for joints, gripper in arms for figure in (*joints, gripper)])
    values.flags.writeable = False
    return values
