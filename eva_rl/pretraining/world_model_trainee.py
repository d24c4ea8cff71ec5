"""The world model as a training worker sees it: encoded clips, flow-matching loss, validation."""

import logging
from functools import partial
from pathlib import Path
from typing import cast

import torch
from diffusers import ModelMixin
from ray.train.torch import get_device
from torch import Tensor, nn
from torch._dynamo.exc import TorchDynamoException

from eva_rl.config.models import WorldModelSettings
from eva_rl.config.pretraining import SftSettings, WorldModelTrainingSettings
from eva_rl.pretraining.clips import Batch, as_tensors, dataset_shard, read_all, split_batch
from eva_rl.pretraining.imagined_accuracy import ImaginedAccuracy
from eva_rl.pretraining.loop_options import VALIDATION, VALIDATION_LOSS, LoopOptions
from eva_rl.pretraining.training_loop import train_on_shards
from eva_rl.records.condition import ConditionTensors
from eva_rl.world_model.finetuning import clean_latent_error, supervised_loss
from eva_rl.world_model.lora import attach_adapter
from eva_rl.world_model.world_model import WorldModel

VALIDATION_SIGMAS = (0.95, 0.8, 0.5)
VALIDATION_SEED = 5
VALIDATION_BATCH = 32

logger = logging.getLogger(__name__)


def train_on_worker(*, settings: SftSettings, start: Path, options: LoopOptions) -> None:
    """Trains on one Ray Train worker.

    Args:
        settings: all settings of the recipe.
        start: pipeline directory that training starts from.
        options: of the training loop.
    """
    torch.set_num_threads(settings.training.num_threads)
    world_model = WorldModel.from_directory(
        start, device=get_device(), settings=opening(settings.world_model)
    )
    prepare_weights(world_model, settings.world_model, seed=settings.run.seed)
    validation_clips = read_all(dataset_shard(VALIDATION), prepare=as_tensors)
    trainee = WorldModelTrainee(
        world_model,
        validation_clips,
        shift=settings.world_model.shift,
        accuracy=_accuracy(settings, world_model, start=start),
    )
    if settings.world_model.compiles:
        compile_blocks(trainee, split_batch(validation_clips, size=settings.training.batch_size)[0])
    train_on_shards(trainee, settings.training, prepare=as_tensors, options=options, seed=settings.run.seed)


def _accuracy(settings: SftSettings, world_model: WorldModel, *, start: Path) -> ImaginedAccuracy | None:
    """Measures imagined clips, where a model that reads them is named."""
    model = settings.world_model
    if model.validation_idm is None:
        return None
    return ImaginedAccuracy.from_directory(
        world_model,
        idm=model.validation_idm,
        world_model_directory=start,
        frame_period_s=settings.video.frame_period_s,
        num_steps=model.validation_sampling_steps,
    )


def opening(settings: WorldModelTrainingSettings) -> WorldModelSettings:
    """How the pipeline directory is opened that training starts from."""
    return WorldModelSettings(
        conditioning=settings.conditioning, history_latent_frames=settings.history_latent_frames
    )


def prepare_weights(world_model: WorldModel, settings: WorldModelTrainingSettings, *, seed: int) -> None:
    """Freezes everything but a new LoRA, where only that is to be trained.

    Args:
        world_model: changed in place.
        settings: rank and place of the LoRA.
        seed: draws its first weights.
    """
    if settings.lora_rank is not None:
        attach_adapter(
            world_model.transformer,
            rank=settings.lora_rank,
            alpha=settings.lora_rank,
            target_modules=settings.lora_target_modules,
            seed=seed,
        )


class WorldModelTrainee:
    """The transformer with its flow-matching loss.

    Args:
        world_model: its transformer is trained.
        validation_clips: encoded held-out clips.
        shift: of the training noise levels.
        accuracy: measures imagined clips too; None leaves it at the error of the latents.
    """

    def __init__(
        self,
        world_model: WorldModel,
        validation_clips: Batch,
        *,
        shift: float,
        accuracy: ImaginedAccuracy | None = None,
    ) -> None:
        self.network = world_model.transformer.train()
        self._world_model = world_model
        self._validation_clips = {
            name: values.to(world_model.device) for name, values in validation_clips.items()
        }
        self._shift = shift
        self._accuracy = accuracy

    def loss(self, network: nn.Module, batch: Batch, *, generator: torch.Generator) -> Tensor:
        """Flow-matching loss of one batch."""
        return supervised_loss(
            self._world_model,
            batch["latents"],
            self._condition(batch),
            generator=generator,
            shift=self._shift,
            network=network,
        )

    def _condition(self, batch: Batch) -> ConditionTensors:
        num_given = self._world_model.conditioning.num_given_frames
        given_latents = batch["latents"][:, :, :num_given]
        return ConditionTensors.selected({**batch, "given_latents": given_latents})

    @torch.no_grad()
    def validate(self, network: nn.Module) -> dict[str, float]:
        """Error of the clean latents of held-out clips, at fixed noise: per level, and on average.

        With an inverse dynamics model also what it reads from clips that are imagined from the same start.
        """
        batches = split_batch(self._validation_clips, size=VALIDATION_BATCH)
        flow_velocity = partial(self._world_model.flow_velocity, network=network)
        scores = {}
        for sigma in VALIDATION_SIGMAS:
            generator = torch.Generator().manual_seed(VALIDATION_SEED)
            errors = [
                clean_latent_error(
                    flow_velocity,
                    batch["latents"],
                    self._condition(batch),
                    sigma=torch.full((len(batch["latents"]),), sigma, device=batch["latents"].device),
                    generator=generator,
                )
                for batch in batches
            ]
            scores[f"validation/error_at_{sigma}"] = torch.cat(errors).mean().item()
        scores[VALIDATION_LOSS] = sum(scores.values()) / len(scores)
        if self._accuracy is not None:
            conditions = [self._condition(batch) for batch in batches]
            scores |= self._accuracy(batches, conditions, network=network)
        return scores


def compile_blocks(trainee: WorldModelTrainee, batch: Batch) -> bool:
    """Compiles the transformer's repeated blocks, and proves it by one step; says so where it is impossible.

    Args:
        trainee: its network is changed in place.
        batch: clips of the size that training uses.

    Returns:
        Whether the blocks are compiled.
    """
    cast(ModelMixin, trainee.network).compile_repeated_blocks()
    try:
        trainee.loss(trainee.network, batch, generator=torch.Generator().manual_seed(0)).backward()
    except TorchDynamoException as error:
        for module in trainee.network.modules():
            module._compiled_call_impl = None
        logger.warning("world_model.compiles is on, but compilation failed; going on without it: %s", error)
        return False
    finally:
        trainee.network.zero_grad(set_to_none=True)
    return True
