"""An inverse dynamics model as a training worker sees it: disturbed clips, loss, validation."""

from collections.abc import Callable
from typing import cast

import numpy as np
import torch
from ray.train.torch import get_device
from torch import Tensor, nn

from eva_rl.config.pretraining import IdmSettings
from eva_rl.data.statistics import ActionStatistics
from eva_rl.embodiments.mirroring import Mirror
from eva_rl.embodiments.table import EMBODIMENTS
from eva_rl.idm.accuracy import frame_accuracy, gripper_accuracy, joint_rmse
from eva_rl.idm.kinds import AnyArchitecture, AnyIdm
from eva_rl.pretraining.clips import Batch, Columns, dataset_shard, read_all, split_batch
from eva_rl.pretraining.idm_inputs import ClipInputs, FrameInputs, LatentInputs
from eva_rl.pretraining.idm_models import new_idm
from eva_rl.pretraining.loop_options import VALIDATION, VALIDATION_LOSS, LoopOptions
from eva_rl.pretraining.training_loop import train_on_shards
from eva_rl.world_model.latent_codec import LatentCodec

VALIDATION_BATCH = 16
CLIP_COLUMNS = ("frames", "latents", "actions")


def train_on_worker(
    *,
    settings: IdmSettings,
    architecture: AnyArchitecture,
    statistics: ActionStatistics,
    options: LoopOptions,
) -> None:
    """Trains on one Ray Train worker.

    Args:
        settings: all settings of the recipe.
        architecture: of the model.
        statistics: of the drive targets in the training episodes: units of the joints.
        options: of the training loop.
    """
    torch.set_num_threads(settings.training.num_threads)
    model = new_idm(architecture, settings, statistics).to(get_device())
    validation_clips = read_all(dataset_shard(VALIDATION), prepare=as_tensors)
    trainee = IdmTrainee(
        model,
        validation_clips,
        inputs=inputs_of(settings, model),
        acceleration_weight=settings.idm.acceleration_weight,
    )
    train_on_shards(trainee, settings.training, prepare=as_tensors, options=options, seed=settings.run.seed)


def inputs_of(settings: IdmSettings, model: AnyIdm) -> ClipInputs:
    """What the model is shown: frames or latents, as it reads them."""
    idm = settings.idm
    if model.reads == "latents":
        return LatentInputs(idm)
    codec = mirror = None
    if idm.world_model is not None:
        codec = LatentCodec.from_directory(idm.world_model, device=get_device())
    if idm.mirrored_share > 0:
        mirror = Mirror.of(EMBODIMENTS[settings.robot.embodiment])
    return FrameInputs(idm, codec=codec, mirror=mirror)


def as_tensors(columns: Columns) -> Batch:
    """Actions [clips, frames, dimensions], and frames [clips, frames, height, width, 3] uint8 or latents."""
    return {name: torch.from_numpy(np.array(columns[name])) for name in CLIP_COLUMNS if name in columns}


class IdmObjective(nn.Module):
    """A model together with its loss: what is wrapped for data parallelism, averaged and checkpointed.

    Args:
        model: of any kind.
        acceleration_weight: of the loss on the error's second differences.
    """

    def __init__(self, model: AnyIdm, *, acceleration_weight: float) -> None:
        super().__init__()
        self.model = model
        self._acceleration_weight = acceleration_weight

    def forward(self, inputs: Tensor, actions: Tensor) -> Tensor:
        """Loss of one batch."""
        return self.model.loss(inputs, actions, acceleration_weight=self._acceleration_weight)


class IdmTrainee:
    """An inverse dynamics model with its loss on disturbed clips.

    Args:
        model: is trained.
        validation_clips: held-out clips.
        inputs: what the model is shown of a batch.
        acceleration_weight: of the loss on the error's second differences.
    """

    def __init__(
        self, model: AnyIdm, validation_clips: Batch, *, inputs: ClipInputs, acceleration_weight: float
    ) -> None:
        self.network = IdmObjective(model, acceleration_weight=acceleration_weight).train()
        device = next(model.parameters()).device
        self._validation_clips = {name: values.to(device) for name, values in validation_clips.items()}
        self._inputs = inputs

    def loss(self, network: nn.Module, batch: Batch, *, generator: torch.Generator) -> Tensor:
        """Loss of one batch."""
        inputs, actions = self._inputs.disturbed(batch, generator=generator)
        return network(inputs, actions)

    @torch.no_grad()
    def validate(self, network: nn.Module) -> dict[str, float]:
        """Errors on held-out clips, in every view of them; the loss is the views' mean."""
        model = cast(IdmObjective, network).model
        scores: dict[str, float] = {}
        losses = []
        for prefix, view in self._inputs.views.items():
            found = self._scores(model, view)
            losses.append(found["loss"])
            scores |= {f"validation/{prefix}{name}": value for name, value in found.items()}
        return {**scores, VALIDATION_LOSS: sum(losses) / len(losses)}

    def _scores(self, model: AnyIdm, view: Callable[[Batch], Tensor]) -> dict[str, float]:
        grippers = model.architecture.gripper_dimensions
        batches = split_batch(self._validation_clips, size=VALIDATION_BATCH)
        shown = [(view(batch), batch["actions"]) for batch in batches]
        positions = torch.cat([model.decode_positions(inputs) for inputs, _ in shown])
        losses = [model.loss(inputs, actions).item() * len(actions) for inputs, actions in shown]
        actions = self._validation_clips["actions"]
        return {
            "loss": sum(losses) / len(actions),
            "joint_rmse_rad": joint_rmse(positions, actions, gripper_dimensions=grippers),
            "gripper_accuracy": gripper_accuracy(positions, actions, gripper_dimensions=grippers),
            "frame_accuracy": frame_accuracy(positions, actions, gripper_dimensions=grippers),
        }
