"""The frozen encoders of the encoding stage as numbers: text (UMT5) and image (CLIP)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

FLOAT = 4


@dataclass(frozen=True, kw_only=True)
class TextEncoderShape:
    """Sizes of `UMT5EncoderModel`.

    Example:
        TextEncoderShape(vocabulary=256384, width=4096, head_width=64, num_heads=64, ffn_width=10240,
                         num_layers=24, num_buckets=32)
    """

    vocabulary: int
    width: int
    head_width: int
    num_heads: int
    ffn_width: int
    num_layers: int
    num_buckets: int

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "TextEncoderShape":
        """Reads `text_encoder/config.json`."""
        return cls(
            vocabulary=config["vocab_size"],
            width=config["d_model"],
            head_width=config["d_kv"],
            num_heads=config["num_heads"],
            ffn_width=config["d_ff"],
            num_layers=config["num_layers"],
            num_buckets=config.get("relative_attention_num_buckets", 32),
        )

    @property
    def num_parameters(self) -> int:
        """All weights: the embedding once, a table of relative positions per layer."""
        attention = 4 * self.width * self.head_width * self.num_heads + self.num_buckets * self.num_heads
        block = attention + 3 * self.width * self.ffn_width + 2 * self.width
        return self.vocabulary * self.width + self.num_layers * block + self.width

    def activation_bytes(self, batch: int, tokens: int, element_bytes: int) -> int:
        """Peak of a call: the relative positions of all heads beside fused attention, or the gated layer."""
        scores = self.num_heads * tokens**2 * FLOAT
        gated = tokens * 4 * self.ffn_width * element_bytes
        return batch * (max(scores, gated) + 6 * tokens * self.width * element_bytes)


@dataclass(frozen=True, kw_only=True)
class ImageEncoderShape:
    """Sizes of `CLIPVisionModel`.

    Example:
        ImageEncoderShape(width=1280, ffn_width=5120, num_heads=16, num_layers=32, image_size=224, patch=14)
    """

    width: int
    ffn_width: int
    num_heads: int
    num_layers: int
    image_size: int
    patch: int

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "ImageEncoderShape":
        """Reads `image_encoder/config.json`."""
        return cls(
            width=config["hidden_size"],
            ffn_width=config["intermediate_size"],
            num_heads=config["num_attention_heads"],
            num_layers=config["num_hidden_layers"],
            image_size=config.get("image_size", 224),
            patch=config.get("patch_size", 32),
        )

    @property
    def num_tokens(self) -> int:
        """Patches and the class token."""
        return (self.image_size // self.patch) ** 2 + 1

    @property
    def num_parameters(self) -> int:
        """All weights."""
        width = self.width
        embeddings = 3 * self.patch**2 * width + width + self.num_tokens * width
        block = 4 * (width * width + width) + 2 * width * self.ffn_width + self.ffn_width + width + 4 * width
        return embeddings + self.num_layers * block + 4 * width

    def activation_bytes(self, batch: int) -> int:
        """Peak of a call in float32: the hidden states of all layers are kept, and one layer works."""
        kept = (self.num_layers + 1) * self.width
        return FLOAT * batch * self.num_tokens * (kept + 2 * self.ffn_width + 5 * self.width)
