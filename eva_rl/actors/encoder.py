"""The encoder: conditions become first-frame latents and text embeddings, once per run."""

from collections.abc import Sequence

import numpy as np
import torch

from eva_rl.records.condition import Condition, EncodedCondition
from eva_rl.world_model.world_model import WorldModel


def encode_conditions(world_model_directory: str, conditions: Sequence[Condition]) -> list[EncodedCondition]:
    """Encodes conditions in a process of its own: no other role ever loads the text encoder.

    Args:
        world_model_directory: pipeline directory with its text encoder.
        conditions: with first frames of the size the codec takes.
    """
    world_model = WorldModel.from_directory(world_model_directory, with_text_encoder=True)
    instructions = sorted({condition.instruction for condition in conditions})
    texts = dict(zip(instructions, world_model.encode_text(instructions), strict=True))
    frames = torch.from_numpy(np.stack([condition.first_frame for condition in conditions]))
    first_latents = world_model.encode_frames(frames[:, None])
    return [
        EncodedCondition(
            condition=condition, first_latents=latents.clone(), text=texts[condition.instruction].clone()
        )
        for condition, latents in zip(conditions, first_latents, strict=True)
    ]
