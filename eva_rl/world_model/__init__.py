"""Wan video world models behind one class; importing it lets diffusers open this project's directories."""

from eva_rl.world_model.codec import LinearPatchCodec
from eva_rl.world_model.transformer import CleanLatentWanTransformer
from eva_rl.world_model.world_model import WorldModel

__all__ = ["CleanLatentWanTransformer", "LinearPatchCodec", "WorldModel"]
