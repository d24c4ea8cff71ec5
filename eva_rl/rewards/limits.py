"""What a robot can do, as tensors for the reward terms."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from eva_rl.embodiments import Embodiment

NO_LIMIT = 1e6
"""Beyond what positions of 0..1 can do at any frame rate; finite, so that no gradient becomes NaN."""


@dataclass(frozen=True, kw_only=True)
class KinematicLimits:
    """Limits per action dimension.

    Example:
        KinematicLimits.of(EMBODIMENTS["bimanual"])

    Attributes:
        lower: lowest positions, rad; 0 for grippers.
        upper: highest positions, rad; 1 for grippers.
        velocity: largest speeds, rad/s; 1/s for grippers.
        acceleration: largest accelerations, rad/s^2; 1/s^2 for grippers.
        is_gripper: True on the gripper dimensions.
        arm_of_dimension: number of the arm that each dimension belongs to, from 0.
    """

    lower: Float[Tensor, " dimensions"]
    upper: Float[Tensor, " dimensions"]
    velocity: Float[Tensor, " dimensions"]
    acceleration: Float[Tensor, " dimensions"]
    is_gripper: Bool[Tensor, " dimensions"]
    arm_of_dimension: Int[Tensor, " dimensions"]

    @classmethod
    def of(
        cls,
        embodiment: Embodiment,
        *,
        velocity_scale: float = 1.0,
        acceleration_scale: float = 1.0,
        dtype: torch.dtype = torch.float32,
    ) -> "KinematicLimits":
        """Lays an embodiment's limits out as tensors.

        Args:
            embodiment: a row of EMBODIMENTS.
            velocity_scale: factor on the speeds of the arm joints, not of the grippers, as a safety margin.
            acceleration_scale: the same for their accelerations.
            dtype: floating type of the result.
        """
        is_gripper = torch.zeros(embodiment.dimension, dtype=torch.bool)
        is_gripper[list(embodiment.gripper_indices)] = True
        velocity = torch.tensor(embodiment.velocity, dtype=dtype)
        acceleration = torch.tensor(embodiment.acceleration, dtype=dtype)
        return cls(
            lower=torch.tensor(embodiment.lower, dtype=dtype),
            upper=torch.tensor(embodiment.upper, dtype=dtype),
            velocity=torch.where(is_gripper, velocity, velocity_scale * velocity),
            acceleration=torch.where(is_gripper, acceleration, acceleration_scale * acceleration),
            is_gripper=is_gripper,
            arm_of_dimension=torch.tensor(embodiment.arm_of_dimension),
        )

    def with_free_grippers(self) -> "KinematicLimits":
        """The same limits, but grippers may move as fast as they like."""
        return replace(
            self,
            velocity=self.velocity.masked_fill(self.is_gripper, NO_LIMIT),
            acceleration=self.acceleration.masked_fill(self.is_gripper, NO_LIMIT),
        )
