"""How likely a denoising step was: the quantity whose ratio the policy loss is built from."""

import math

from jaxtyping import Bool, Float
from torch import Tensor

from eva_rl.rl.kernels import Transition


def transition_log_prob(
    next_latents: Float[Tensor, "members channels frames height width"],
    transition: Transition,
    *,
    free_frames: Bool[Tensor, "1 1 frames 1 1"],
) -> Float[Tensor, " members"]:
    """Returns the log density of a step, averaged over the entries that the policy chose.

        mean[ -(x' - mean)^2 / (2 std^2) - log std - log(2 pi) / 2 ]

    The mean, not the sum, is what every published trainer takes; it makes log ratios tiny, hence clip ranges
    of 1e-5 to 1e-3. `next_latents` is detached: only the mean carries a gradient.

    Args:
        next_latents: state after the step.
        transition: the step's distribution; a leading axis of 1 in its mean serves all members.
        free_frames: False on the latent frames that were given, which are no choice of the policy.

    Returns:
        One mean log density per member.

    Raises:
        ValueError: if the step is deterministic, or if no frame is free.
    """
    squared_error = (next_latents.detach() - transition.mean) ** 2
    if transition.drops_variance:
        return free_mean(-squared_error, free_frames=free_frames)
    if transition.std == 0:
        raise ValueError(
            "A deterministic step has no log-prob: take a stochastic kernel with a noise level above 0, "
            "and no step that ends at sigma 0."
        )
    log_density = (
        -squared_error / (2 * transition.std**2) - math.log(transition.std) - math.log(2 * math.pi) / 2
    )
    return free_mean(log_density, free_frames=free_frames)


def free_mean(
    values: Float[Tensor, "members channels frames height width"],
    *,
    free_frames: Bool[Tensor, "1 1 frames 1 1"],
) -> Float[Tensor, " members"]:
    """Averages over the entries of the free frames, one mean per member.

    Args:
        values: one value per latent entry.
        free_frames: False on the latent frames to leave out.

    Raises:
        ValueError: if no frame is free.
    """
    if not free_frames.any():
        raise ValueError(
            "free_frames is False everywhere: a policy that chooses nothing has nothing to learn."
        )
    return values[:, :, free_frames.flatten()].mean(dim=(1, 2, 3, 4))
