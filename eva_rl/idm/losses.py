"""Training loss of the inverse dynamics model."""

from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

JOINT_UNIT_RAD = 0.1
HUBER_BETA = 0.3  # in joint units: linear beyond 0.03 rad, so that occluded frames do not dominate
GRIPPER_WEIGHT = 0.5


def idm_loss(
    predicted: Float[Tensor, "B T D"],
    actions: Float[Tensor, "B T D"],
    *,
    gripper_dimensions: Sequence[int],
) -> Float[Tensor, ""]:
    """Smooth L1 on joints plus cross-entropy on grippers.

    Args:
        predicted: [batch, frames, dimensions] from `InverseDynamicsModel.forward`: rad, gripper logits.
        actions: [batch, frames, dimensions], recorded drive targets: rad, grippers 0..1.
        gripper_dimensions: which dimensions are grippers.
    """
    grippers = list(gripper_dimensions)
    joints = [index for index in range(predicted.shape[-1]) if index not in grippers]
    joint_loss = functional.smooth_l1_loss(
        predicted[..., joints] / JOINT_UNIT_RAD, actions[..., joints] / JOINT_UNIT_RAD, beta=HUBER_BETA
    )
    if not grippers:
        return joint_loss
    gripper_loss = functional.binary_cross_entropy_with_logits(
        predicted[..., grippers], actions[..., grippers]
    )
    return joint_loss + GRIPPER_WEIGHT * gripper_loss
