"""What encoded clips are made of, read off a world model's files."""

from pathlib import Path

from eva_rl.config.models import WorldModelSettings
from eva_rl.data.encoded import EncodingPlan
from eva_rl.data.windows import WindowShape
from eva_rl.world_model.conditionings import conditioning_of
from eva_rl.world_model.layout import read_layout
from eva_rl.world_model.part_hashes import hash_parts

ENCODER_PARTS = ("vae", "tokenizer", "text_encoder", "image_encoder", "image_processor")


def plan_of(
    world_model: Path | str,
    *,
    shape: WindowShape,
    seed: int,
    held_out_share: float,
    source: str | None,
    settings: WorldModelSettings | None = None,
) -> EncodingPlan:
    """What clips encoded by a world model are made of; reads its encoders' files, but loads none.

    Args:
        world_model: pipeline directory.
        shape: of the windows.
        seed: chooses held-out episodes, instructions and the order.
        held_out_share: share of episodes in the validation split.
        source: directory or URI of the episodes; None where any will do.
        settings: conditioning; and the number format of the text encoder.
    """
    settings = settings or WorldModelSettings()
    conditioning = conditioning_of(read_layout(world_model, settings))
    return EncodingPlan(
        encoders=hash_encoders(Path(world_model)),
        conditioning=type(conditioning).__name__,
        shape=shape,
        seed=seed,
        held_out_share=held_out_share,
        source=source,
    )


def hash_encoders(world_model: Path) -> str:
    """What identifies codec, tokenizer, text and image encoder; see `hash_parts`."""
    return hash_parts(world_model, ENCODER_PARTS)
