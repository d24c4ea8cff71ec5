"""Imagined held-out clips read back: how near their motion comes to the recorded one."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from eva_rl.idm.accuracy import frame_accuracy, joint_rmse
from eva_rl.idm.kinds import AnyIdm, check_codec, open_idm, read_generated
from eva_rl.pretraining.clips import Batch
from eva_rl.records.condition import ConditionTensors
from eva_rl.rl.group_noise import GroupNoise
from eva_rl.rl.sampler import sample_groups
from eva_rl.world_model.part_hashes import hash_codec
from eva_rl.world_model.world_model import WorldModel

NOISE_SEED = 7


class ImaginedAccuracy:
    """Imagines held-out clips from their given frames, and reads them with an inverse dynamics model.

    A task can be done in more than one way: an imagined motion need not be the recorded one to be good. So
    this is a floor, to compare trainings on the same clips with.

    Args:
        world_model: imagines.
        idm: reads; of any kind.
        num_steps: denoising steps, all deterministic.
    """

    def __init__(self, world_model: WorldModel, idm: AnyIdm, *, num_steps: int) -> None:
        self._world_model = world_model
        self._idm = idm.to(world_model.device).requires_grad_(False)
        self._num_steps = num_steps

    @classmethod
    def from_directory(
        cls,
        world_model: WorldModel,
        *,
        idm: Path,
        world_model_directory: Path,
        frame_period_s: float,
        num_steps: int,
    ) -> "ImaginedAccuracy":
        """Opens the inverse dynamics model.

        Raises:
            ValueError: it was trained at another frame rate, or on another codec's latents.
        """
        opened = open_idm(idm)
        opened.architecture.check_frame_period(frame_period_s)
        check_codec(opened, lambda: hash_codec(world_model_directory))
        return cls(world_model, opened, num_steps=num_steps)

    @torch.no_grad()
    def __call__(
        self, batches: Sequence[Batch], conditions: Sequence[ConditionTensors], *, network: nn.Module
    ) -> dict[str, float]:
        """Accuracy of the paper (0.05 rad, grippers 0.5) and joint error, over all clips.

        Args:
            batches: held-out clips, `latents` and `actions`.
            conditions: of the same clips.
            network: transformer whose weights imagine.
        """
        generator = torch.Generator().manual_seed(NOISE_SEED)
        read = []
        for batch, condition in zip(batches, conditions, strict=True):
            noise = torch.randn(batch["latents"].shape, generator=generator).to(batch["latents"])
            read.append(self._read(self._imagine(noise, condition, network=network)))
        positions, actions = torch.cat(read), torch.cat([batch["actions"] for batch in batches]).cpu()
        grippers = self._idm.architecture.gripper_dimensions
        return {
            "validation/frame_accuracy": frame_accuracy(positions, actions, gripper_dimensions=grippers),
            "validation/joint_rmse_rad": joint_rmse(positions, actions, gripper_dimensions=grippers),
        }

    def _imagine(self, noise: Tensor, condition: ConditionTensors, *, network: nn.Module) -> Tensor:
        model = self._world_model
        initial = model.impose_given(noise, condition)
        groups = sample_groups(
            lambda latents, sigma: model.flow_velocity(latents, sigma, condition, network=network),
            GroupNoise(initial=initial[:, None], steps={}),
            sigmas=model.sigmas(self._num_steps),
            kernel="ode",
            noise_level=0.0,
            free_frames=model.free_frames(initial),
        )
        return torch.cat([group.final_latents for group in groups])

    def _read(self, latents: Tensor) -> Tensor:
        return read_generated(self._idm, latents, decode=self._world_model.decode).cpu()
