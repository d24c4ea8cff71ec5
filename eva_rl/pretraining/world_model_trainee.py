"""The world model as a training worker sees it: encoded clips, flow-matching loss, validation."""

import logging
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import cast

import torch
from diffusers import ModelMixin
from torch import Tensor, nn
from torch._dynamo.exc import TorchDynamoException

from eva_rl.config.pretraining import SftSettings
from eva_rl.data.conditions import conditions_from_windows
from eva_rl.data.windows import EpisodeWindow
from eva_rl.pretraining.clips import Batch, dataset_shard, read_all, split_batch
from eva_rl.pretraining.loop_options import VALIDATION, VALIDATION_LOSS, LoopOptions
from eva_rl.pretraining.training_loop import train_on_shards
from eva_rl.world_model.finetuning import clean_latent_error, flow_matching_loss
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
    world_model = WorldModel.from_directory(start, with_text_encoder=True)
    prepare = partial(encode_windows, world_model=world_model, seed=settings.run.seed)
    validation_clips = read_all(dataset_shard(VALIDATION), prepare=prepare)
    trainee = WorldModelTrainee(world_model, validation_clips, shift=settings.world_model.shift)
    if settings.world_model.compiles:
        compile_blocks(trainee, split_batch(validation_clips, size=settings.training.batch_size)[0])
    train_on_shards(trainee, settings.training, prepare=prepare, options=options, seed=settings.run.seed)


def encode_windows(windows: Sequence[EpisodeWindow], *, world_model: WorldModel, seed: int) -> Batch:
    """Encodes clips: latents [clips, C, F, h, w] and text [clips, tokens, dim].

    Args:
        windows: recorded clips.
        world_model: encodes them.
        seed: chooses one of each clip's instructions.
    """
    frames = torch.stack([torch.from_numpy(window.frames.copy()) for window in windows])
    instructions = [condition.instruction for condition in conditions_from_windows(windows, seed=seed)]
    return {"latents": world_model.encode_frames(frames), "text": world_model.encode_text(instructions)}


class WorldModelTrainee:
    """The transformer with its flow-matching loss.

    Args:
        world_model: its transformer is trained.
        validation_clips: encoded held-out clips.
        shift: of the training noise levels.
    """

    def __init__(self, world_model: WorldModel, validation_clips: Batch, *, shift: float) -> None:
        self.network = world_model.transformer.train()
        self._world_model = world_model
        self._validation_clips = validation_clips
        self._shift = shift

    def loss(self, network: nn.Module, batch: Batch, *, generator: torch.Generator) -> Tensor:
        """Flow-matching loss of one batch."""
        return flow_matching_loss(
            partial(self._world_model.flow_velocity, network=network),
            batch["latents"],
            batch["text"],
            generator=generator,
            shift=self._shift,
        )

    @torch.no_grad()
    def validate(self, network: nn.Module) -> dict[str, float]:
        """Error of the clean latents of held-out clips, at fixed noise: per level, and on average."""
        flow_velocity = partial(self._world_model.flow_velocity, network=network)
        scores = {}
        for sigma in VALIDATION_SIGMAS:
            generator = torch.Generator().manual_seed(VALIDATION_SEED)
            errors = [
                clean_latent_error(
                    flow_velocity,
                    batch["latents"],
                    batch["text"],
                    sigma=torch.full((len(batch["latents"]),), sigma),
                    generator=generator,
                )
                for batch in split_batch(self._validation_clips, size=VALIDATION_BATCH)
            ]
            scores[f"validation/error_at_{sigma}"] = torch.cat(errors).mean().item()
        return {VALIDATION_LOSS: sum(scores.values()) / len(scores), **scores}


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
