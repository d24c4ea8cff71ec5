"""Structured credit laid over the latents: which cell belongs to which latent frame and arms."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from eva_rl.embodiments import Embodiment
from eva_rl.rl.credit import CreditCells

SEEN_SHARE = 0.3  # of the whole gradient at a site: below it an arm counts as not seen there
SIGN_SEED = 0


@dataclass(frozen=True, kw_only=True)
class CreditMap:
    """One cell per free latent frame and set of arms, with the shares of the reward that each can influence.

    Attributes:
        cells: partition of the latent grid.
        influence: [cells, latent frames * arms], True where the cell's noise can move the share.
    """

    cells: CreditCells
    influence: Bool[Tensor, "cells shares"]

    @classmethod
    def of(
        cls,
        arm_sites: Int[np.ndarray, "height width"],
        *,
        num_latent_frames: int,
        num_arms: int,
        num_given: int = 1,
    ) -> "CreditMap":
        """Crosses the sites of the arms with the latent frames; those that are given get no cell.

        Args:
            arm_sites: per latent site, which arms its picture shows, as a bit mask.
            num_latent_frames: of a clip, the given ones included.
            num_arms: arms of the robot.
            num_given: latent frames at the start that are no choice of the policy.
        """
        masks, regions = np.unique(arm_sites, return_inverse=True)
        regions = torch.from_numpy(regions.reshape(arm_sites.shape))
        frames = torch.arange(num_latent_frames)
        labels = (frames[:, None, None] - num_given) * len(masks) + regions
        labels[:num_given] = -1
        sees = torch.tensor([[bool(mask >> arm & 1) for arm in range(num_arms)] for mask in masks.tolist()])
        same_frame = torch.eye(num_latent_frames, dtype=torch.bool)[num_given:]
        influence = same_frame[:, None, :, None] & sees[None, :, None, :]
        return cls(cells=CreditCells(labels=labels), influence=influence.flatten(0, 1).flatten(1))


def halves(height: int, width: int, *, num_arms: int) -> Int[np.ndarray, "height width"]:
    """Arm k in the k-th vertical strip: a camera behind the robot that looks ahead."""
    columns = np.arange(width) * num_arms // width
    return np.broadcast_to(1 << columns, (height, width)).copy()


def sites_from_gradient(
    read: Callable[[Tensor], Tensor],
    embodiment: Embodiment,
    latents: Float[Tensor, "clips channels frames height width"],
) -> Int[np.ndarray, "height width"]:
    """Arms that each latent site speaks for, from the gradient of the inverse dynamics model.

    The gradient of each arm's joints with respect to the latents is summed in absolute value over clips,
    channels and frames. A site shows the arms that have at least SEEN_SHARE of all arms' gradient there.

    Args:
        read: latents -> positions, differentiable: the inverse dynamics model, behind the codec if need be.
        embodiment: says which dimensions are which arm.
        latents: clips that show the arms where they usually are.
    """
    saliency = []
    for name in embodiment.arm_names:
        leaf = latents.detach().clone().requires_grad_()
        positions = read(leaf)[..., embodiment.joints_of(name)]
        # random signs: in a plain sum the gradients of joints that move together could cancel
        signs = torch.randn(positions.shape, generator=torch.Generator().manual_seed(SIGN_SEED))
        (gradient,) = torch.autograd.grad((positions * signs.to(positions)).sum(), leaf)
        saliency.append(gradient.abs().sum(dim=(0, 1, 2)))
    shares = torch.stack(saliency) / torch.stack(saliency).sum(dim=0).clamp_min(1e-12)
    bits = torch.arange(len(saliency))[:, None, None]
    masks = ((shares >= SEEN_SHARE).long().cpu() << bits).sum(dim=0)
    return masks.numpy()
