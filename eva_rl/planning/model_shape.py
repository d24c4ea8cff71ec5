"""A world model directory as numbers, read from its small files; no weight is opened."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eva_rl.config.models import WorldModelSettings
from eva_rl.planning.codec_shape import CodecShape
from eva_rl.planning.encoder_memory import ImageEncoderShape, TextEncoderShape
from eva_rl.planning.transformer_shape import TransformerShape

MAX_TEXT_TOKENS = 512
CLIP_TOKENS = 257  # 16 x 16 patches and the class token of CLIP ViT-H/14
PER_TOKEN = ("first_frame_forcing", "history_forcing")
"""Conditionings that give every token its own timestep."""


@dataclass(frozen=True, kw_only=True)
class ModelShape:
    """Sizes of all networks of a pipeline directory.

    Attributes:
        conditioning: row of CONDITIONINGS.
        num_experts: transformers; two in Wan2.2 I2V-A14B.
        transformer: of each of them.
        codec: encodes and decodes.
        text_encoder: None where the directory holds none.
        image_encoder: None where the directory holds none.
        text_tokens: that an instruction is padded to.
    """

    conditioning: str
    num_experts: int
    transformer: TransformerShape
    codec: CodecShape
    text_encoder: TextEncoderShape | None
    image_encoder: ImageEncoderShape | None
    text_tokens: int = MAX_TEXT_TOKENS

    @property
    def per_token_timesteps(self) -> bool:
        """Whether every token has its own timestep."""
        return self.conditioning in PER_TOKEN

    @property
    def image_tokens(self) -> int:
        """Tokens of the image branch; 0 without one."""
        if self.transformer.image_width is None:
            return 0
        return CLIP_TOKENS if self.image_encoder is None else self.image_encoder.num_tokens

    @classmethod
    def from_configs(
        cls,
        configs: Mapping[str, Mapping[str, Any]],
        *,
        conditioning: str,
        num_experts: int = 1,
        text_tokens: int = MAX_TEXT_TOKENS,
    ) -> "ModelShape":
        """Reads the configs of a directory's parts, by the parts' names.

        Args:
            configs: of `transformer`, `vae` and, where they are, `text_encoder` and `image_encoder`.
            conditioning: row of CONDITIONINGS.
            num_experts: transformers of that shape.
            text_tokens: that an instruction is padded to.
        """
        text, image = configs.get("text_encoder"), configs.get("image_encoder")
        return cls(
            conditioning=conditioning,
            num_experts=num_experts,
            transformer=TransformerShape.from_config(configs["transformer"]),
            codec=CodecShape.from_config(configs["vae"]),
            text_encoder=None if text is None else TextEncoderShape.from_config(text),
            image_encoder=None if image is None else ImageEncoderShape.from_config(image),
            text_tokens=text_tokens,
        )


def read_model_shape(directory: Path, settings: WorldModelSettings | None = None) -> ModelShape:
    """Reads a pipeline directory.

    Args:
        directory: with `model_index.json`.
        settings: of the run; a conditioning that they name counts before the directory's own.

    Raises:
        FileNotFoundError: naming the file that is missing.
        ValueError: naming the file that cannot be read.
    """
    index = _read(directory / "model_index.json")
    parts = [name for name in ("text_encoder", "image_encoder") if (index.get(name) or [None])[0] is not None]
    configs = {name: _read(directory / name / "config.json") for name in ("transformer", "vae", *parts)}
    asked = directory / "conditioning.json"
    conditioning = (_read(asked) if asked.is_file() else {}).get("conditioning")
    if settings is not None and settings.conditioning != "auto":
        conditioning = settings.conditioning
    if conditioning is None:
        conditioning = "first_frame_forcing" if index.get("expand_timesteps") else "channel_concat"
    return ModelShape.from_configs(
        configs,
        conditioning=conditioning,
        num_experts=1 if index.get("boundary_ratio") is None else 2,
        text_tokens=_text_tokens(
            directory, has_image_branch=configs["transformer"].get("image_dim") is not None
        ),
    )


def _text_tokens(directory: Path, *, has_image_branch: bool) -> int:
    """As `eva_rl.world_model.condition_encoder` pads: an image branch takes 512 tokens in any case."""
    file = directory / "tokenizer" / "tokenizer_config.json"
    if has_image_branch or not file.is_file():
        return MAX_TEXT_TOKENS
    return int(min(_read(file).get("model_max_length", MAX_TEXT_TOKENS), MAX_TEXT_TOKENS))


def _read(file: Path) -> dict[str, Any]:
    if not file.is_file():
        raise FileNotFoundError(f"{file} is missing: the pipeline directory is not complete")
    try:
        return json.loads(file.read_text())
    except json.JSONDecodeError as error:
        raise ValueError(f"{file} is no JSON file: {error}") from None
