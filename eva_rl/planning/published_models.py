"""The published Wan models as their config files state them, so that a plan needs no download."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from eva_rl.planning.model_shape import ModelShape


@dataclass(frozen=True, kw_only=True)
class PublishedModel:
    """A model's configs and the clip it was made for.

    Attributes:
        title: as it is published.
        source: where the figures stand.
        transformer, codec: entries of their config files that differ from diffusers' defaults.
        conditioning: row of CONDITIONINGS.
        num_experts: transformers.
        has_image_encoder: whether a CLIP image encoder belongs to it.
        num_frames, height, width: of its own clips.
        frame_rate_hz: of its own clips.
    """

    title: str
    source: str
    transformer: Mapping[str, Any]
    codec: Mapping[str, Any]
    conditioning: str
    num_experts: int = 1
    has_image_encoder: bool = False
    num_frames: int
    height: int
    width: int
    frame_rate_hz: float

    @property
    def shape(self) -> ModelShape:
        """Its networks as numbers."""
        configs = {"transformer": self.transformer, "vae": self.codec, "text_encoder": UMT5_XXL}
        if self.has_image_encoder:
            configs["image_encoder"] = CLIP_VIT_H
        return ModelShape.from_configs(configs, conditioning=self.conditioning, num_experts=self.num_experts)


UMT5_XXL: Mapping[str, Any] = {
    "vocab_size": 256384,
    "d_model": 4096,
    "d_kv": 64,
    "num_heads": 64,
    "d_ff": 10240,
    "num_layers": 24,
}
"""google/umt5-xxl, config.json."""

CLIP_VIT_H: Mapping[str, Any] = {
    "hidden_size": 1280,
    "intermediate_size": 5120,
    "num_attention_heads": 16,
    "num_hidden_layers": 32,
    "image_size": 224,
    "patch_size": 14,
}
"""laion/CLIP-ViT-H-14, vision part, as Wan2.1 I2V's image_encoder/config.json."""

WAN21_CODEC: Mapping[str, Any] = {"base_dim": 96, "z_dim": 16}
"""AutoencoderKLWan's own defaults."""

WAN22_CODEC: Mapping[str, Any] = {
    "base_dim": 160,
    "decoder_base_dim": 256,
    "z_dim": 48,
    "is_residual": True,
    "in_channels": 12,
    "out_channels": 12,
    "patch_size": 2,
    "scale_factor_spatial": 16,
}
"""Wan-AI/Wan2.2-TI2V-5B-Diffusers, vae/config.json."""

_WIDE = {"num_attention_heads": 40, "ffn_dim": 13824, "num_layers": 40, "in_channels": 36, "out_channels": 16}
_WITH_IMAGES = _WIDE | {"image_dim": 1280, "added_kv_proj_dim": 5120}

PUBLISHED_MODELS: Mapping[str, PublishedModel] = {
    "wan22-ti2v-5b": PublishedModel(
        title="Wan2.2 TI2V-5B",
        source="Wan-Video/Wan2.2 wan/configs/wan_ti2v_5B.py; Wan-AI/Wan2.2-TI2V-5B-Diffusers",
        transformer={
            "num_attention_heads": 24,
            "ffn_dim": 14336,
            "num_layers": 30,
            "in_channels": 48,
            "out_channels": 48,
        },
        codec=WAN22_CODEC,
        conditioning="first_frame_forcing",
        num_frames=121,
        height=704,
        width=1280,
        frame_rate_hz=24.0,
    ),
    "wan21-i2v-14b": PublishedModel(
        title="Wan2.1 I2V-14B",
        source="Wan-Video/Wan2.1 wan/configs/wan_i2v_14B.py; Wan-AI/Wan2.1-I2V-14B-480P-Diffusers",
        transformer=_WITH_IMAGES,
        codec=WAN21_CODEC,
        conditioning="channel_concat",
        has_image_encoder=True,
        num_frames=81,
        height=480,
        width=832,
        frame_rate_hz=16.0,
    ),
    "wan22-i2v-a14b": PublishedModel(
        title="Wan2.2 I2V-A14B",
        source="Wan-Video/Wan2.2 wan/configs/wan_i2v_A14B.py; Wan-AI/Wan2.2-I2V-A14B-Diffusers",
        transformer=_WIDE,
        codec=WAN21_CODEC,
        conditioning="channel_concat",
        num_experts=2,
        num_frames=81,
        height=480,
        width=832,
        frame_rate_hz=16.0,
    ),
    "eva-i2v-14b": PublishedModel(
        title="EVA's Wan2.1 I2V-14B",
        source="arXiv 2603.17808; RobbinW/EVA: Wan2.1 I2V with diffusion forcing, 49 frames of 480x640",
        transformer=_WITH_IMAGES,
        codec=WAN21_CODEC,
        conditioning="history_forcing",
        has_image_encoder=True,
        num_frames=49,
        height=480,
        width=640,
        frame_rate_hz=16.0,
    ),
}
"""Models by the name that `eva-rl plan --model` takes."""
