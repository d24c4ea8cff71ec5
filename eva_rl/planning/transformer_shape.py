"""A Wan transformer as numbers: sizes, weights and adapter, from its config."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

ATTENTION_LAYERS = ("to_q", "to_k", "to_v", "to_out.0")
UP_LAYER, DOWN_LAYER = "ffn.net.0.proj", "ffn.net.2"
IMAGE_LAYERS = ("add_k_proj", "add_v_proj")


@dataclass(frozen=True, kw_only=True)
class TransformerShape:
    """Sizes of `WanTransformer3DModel`.

    Example:
        TransformerShape(width=3072, num_heads=24, ffn_width=14336, num_layers=30, input_channels=48, ...)

    Attributes:
        width: of the residual stream.
        num_heads: attention heads.
        ffn_width: of the feed-forward layers.
        num_layers: blocks.
        input_channels, output_channels: of the latents that go in and come out.
        patch_size: latent frames, rows and columns per token.
        text_width: of the text embeddings that come in.
        frequency_width: of the timestep's sinusoids.
        image_width: of the image features that come in; None without an image branch.
    """

    width: int
    num_heads: int
    ffn_width: int
    num_layers: int
    input_channels: int
    output_channels: int
    patch_size: tuple[int, int, int]
    text_width: int
    frequency_width: int
    image_width: int | None

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "TransformerShape":
        """Reads `transformer/config.json`; missing entries have diffusers' defaults."""
        heads = config.get("num_attention_heads", 40)
        return cls(
            width=heads * config.get("attention_head_dim", 128),
            num_heads=heads,
            ffn_width=config.get("ffn_dim", 13824),
            num_layers=config.get("num_layers", 40),
            input_channels=config.get("in_channels", 16),
            output_channels=config.get("out_channels") or config.get("in_channels", 16),
            patch_size=tuple(config.get("patch_size", (1, 2, 2))),  # pyright: ignore[reportArgumentType]
            text_width=config.get("text_dim", 4096),
            frequency_width=config.get("freq_dim", 256),
            image_width=config.get("image_dim"),
        )

    @property
    def head_width(self) -> int:
        """Channels per attention head."""
        return self.width // self.num_heads

    @property
    def num_parameters(self) -> int:
        """All weights."""
        return self.num_half_parameters + self.num_float_parameters

    @property
    def num_float_parameters(self) -> int:
        """Weights that diffusers keeps in float32 in any case: norms, time embedder, modulation tables."""
        width = self.width
        time = self.frequency_width * width + width + width * width + width
        image_norms = 0 if self.image_width is None else 2 * (self.image_width + width)
        return time + image_norms + (8 * width) * self.num_layers + 2 * width

    @property
    def num_half_parameters(self) -> int:
        """Weights in the network's own precision."""
        width, text = self.width, self.text_width
        pixels = prod(self.patch_size)
        count = self.input_channels * pixels * width + width  # patches in
        count += width * self.output_channels * pixels + self.output_channels * pixels  # patches out
        count += 6 * width * width + 6 * width  # modulation from the timestep
        count += text * width + width + width * width + width
        if self.image_width is not None:
            count += self.image_width * (self.image_width + 1) + (self.image_width + 1) * width
        block = 8 * (width * width + width) + 4 * width  # two attentions and their norms of q and k
        block += 2 * width * self.ffn_width + self.ffn_width + width
        if self.image_width is not None:
            block += 2 * (width * width + width) + width
        return count + block * self.num_layers

    def weight_bytes(self, element_bytes: int) -> int:
        """The weights in memory, in a precision of so many bytes."""
        return element_bytes * self.num_half_parameters + 4 * self.num_float_parameters

    def largest_layer(self) -> int:
        """Weights of one block."""
        return 8 * self.width**2 + 2 * self.width * self.ffn_width

    def num_tokens(self, latent_frames: int, height: int, width: int) -> int:
        """Tokens of one clip of latents."""
        frames, rows, columns = self.patch_size
        return (latent_frames // frames) * (height // rows) * (width // columns)

    def adapter_parameters(self, rank: int, targets: Collection[str]) -> int:
        """Weights of a LoRA on layers of the blocks, named as in diffusers.

        Raises:
            ValueError: naming targets that no block has.
        """
        sizes = self._adapted_layers()
        unknown = sorted(set(targets) - set(sizes))
        if unknown:
            raise ValueError(
                f"adapter.target_modules {unknown} match no linear layer of the transformer's blocks, which "
                f"have {sorted(sizes)}"
            )
        return self.num_layers * rank * sum(sizes[target] for target in set(targets))

    def adapted_parameters(self, targets: Collection[str]) -> int:
        """Weights of the layers that a LoRA stands beside."""
        width = self.width
        per_block = 0
        for target in set(targets):
            count = 2 if target in ATTENTION_LAYERS else 1
            per_block += width * self.ffn_width if target in (UP_LAYER, DOWN_LAYER) else count * width * width
        return self.num_layers * per_block

    def _adapted_layers(self) -> dict[str, int]:
        """Inputs plus outputs per block by name; two attentions share their names."""
        sizes: dict[str, int] = dict.fromkeys(ATTENTION_LAYERS, 4 * self.width)
        sizes |= dict.fromkeys((UP_LAYER, DOWN_LAYER), self.width + self.ffn_width)
        return sizes if self.image_width is None else sizes | dict.fromkeys(IMAGE_LAYERS, 2 * self.width)
