"""The layers of a Wan codec as numbers: channels, frames and sizes of every convolution, from its config."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

KERNEL = 27  # weights of a 3x3x3 convolution per pair of channels


@dataclass(frozen=True, kw_only=True)
class Stage:
    """Residual blocks at one resolution, and the resampling behind them.

    Example:
        Stage(inputs=192, outputs=96, num_blocks=3, frames=4, shrink=1, resampling=None)

    Attributes:
        inputs: channels that come in.
        outputs: channels of the blocks.
        num_blocks: residual blocks.
        frames: video frames per latent frame at this resolution, after the first latent frame.
        shrink: side of the codec's pixels divided by the side of this resolution.
        resampling: "space", "space and time" or None.
        resampled: channels behind the resampling.
        frames_behind: video frames per latent frame behind the resampling.
        keeps_input: whether a copy of the input is added to the output (Wan2.2's residual codec).
        is_one_module: whether the blocks are called as one module, whose caller holds the input meanwhile.
    """

    inputs: int
    outputs: int
    num_blocks: int
    frames: int
    shrink: int
    resampling: str | None
    resampled: int
    frames_behind: int
    keeps_input: bool
    is_one_module: bool


@dataclass(frozen=True, kw_only=True)
class CodecShape:
    """Sizes of `AutoencoderKLWan`, or of this project's linear codec, which has no stages.

    Attributes:
        kind: class in the directory.
        latent_channels: of the latents.
        spatial_stride: pixels per latent site along each side.
        temporal_stride: video frames per latent frame after the first.
        pixel_channels: channels that encoder and decoder see; 3, or more where pixels are folded into them.
        folding: pixels folded into channels along each side.
        encoder, decoder: their stages in order of the data.
        middle_channels: of the blocks between, for encoder and decoder.
    """

    kind: str
    latent_channels: int
    spatial_stride: int
    temporal_stride: int
    pixel_channels: int = 3
    folding: int = 1
    encoder: tuple[Stage, ...] = ()
    decoder: tuple[Stage, ...] = ()

    @property
    def is_linear(self) -> bool:
        """Whether it is this project's one-matrix codec."""
        return self.kind == "LinearPatchCodec"

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "CodecShape":
        """Reads `vae/config.json`; missing entries have diffusers' defaults.

        Raises:
            ValueError: for a class whose layers are not known here.
        """
        kind = config.get("_class_name", "AutoencoderKLWan")
        if kind not in ("AutoencoderKLWan", "LinearPatchCodec"):
            raise ValueError(f"memory of a codec of class {kind} is not known; use AutoencoderKLWan")
        linear = kind == "LinearPatchCodec"
        shape = {
            "kind": kind,
            "latent_channels": config.get("z_dim", 48 if linear else 16),
            "spatial_stride": config.get("scale_factor_spatial") or 8,
            "temporal_stride": config.get("scale_factor_temporal") or 4,
        }
        if linear:
            return cls(**shape)
        multiples = config.get("dim_mult", (1, 2, 4, 4))
        base = config.get("base_dim", 96)
        downsamples = config.get("temperal_downsample", (False, True, True))
        options = {
            "num_blocks": config.get("num_res_blocks", 2),
            "residual": config.get("is_residual", False),
        }
        return cls(
            **shape,
            pixel_channels=config.get("out_channels", 3),
            folding=config.get("patch_size") or 1,
            encoder=_encoder_stages([base * each for each in (1, *multiples)], downsamples, **options),
            decoder=_decoder_stages(
                [
                    (config.get("decoder_base_dim") or base) * each
                    for each in (multiples[-1], *multiples[::-1])
                ],
                downsamples[::-1],
                **options,
            ),
        )

    @property
    def num_parameters(self) -> int:
        """Weights of encoder, decoder and what lies between."""
        if self.is_linear:
            block = 3 * self.spatial_stride**2
            return sum(
                size * (self.latent_channels + 1) + self.latent_channels for size in (block, 4 * block)
            )
        latents = self.latent_channels
        first, last = self.encoder[0], self.decoder[-1]
        narrow = self.encoder[-1].outputs
        wide = self.decoder[0].inputs
        count = _convolution(self.pixel_channels, first.inputs) + _convolution(latents, wide)
        count += _convolution(narrow, 2 * latents) + _convolution(last.outputs, self.pixel_channels)
        count += narrow + last.outputs  # norms before the last convolutions
        count += (2 * latents + 1) * 2 * latents + (latents + 1) * latents
        count += _middle(narrow) + _middle(wide)
        return count + sum(_stage(stage) for stage in (*self.encoder, *self.decoder))


def _encoder_stages(
    widths: Sequence[int], downsamples: Sequence[bool], *, num_blocks: int, residual: bool
) -> tuple[Stage, ...]:
    stages, frames = [], 4
    for index, (inputs, outputs) in enumerate(itertools.pairwise(widths)):
        is_last = index == len(widths) - 2
        in_time = not is_last and downsamples[index]
        stages.append(
            Stage(
                inputs=inputs,
                outputs=outputs,
                num_blocks=num_blocks,
                frames=frames,
                shrink=2**index,
                resampling=None if is_last else "space and time" if in_time else "space",
                resampled=outputs,
                frames_behind=frames // 2 if in_time else frames,
                keeps_input=residual,
                is_one_module=residual,
            )
        )
        frames = stages[-1].frames_behind
    return tuple(stages)


def _decoder_stages(
    widths: Sequence[int], upsamples: Sequence[bool], *, num_blocks: int, residual: bool
) -> tuple[Stage, ...]:
    stages, frames = [], 1
    for index, (inputs, outputs) in enumerate(itertools.pairwise(widths)):
        is_last = index == len(widths) - 2
        in_time = not is_last and upsamples[index]
        stages.append(
            Stage(
                inputs=inputs if residual or index == 0 else inputs // 2,
                outputs=outputs,
                num_blocks=num_blocks + 1,
                frames=frames,
                shrink=2 ** (len(widths) - 2 - index),
                resampling=None if is_last else "space and time" if in_time else "space",
                resampled=outputs if residual or is_last else outputs // 2,
                frames_behind=frames * 2 if in_time else frames,
                keeps_input=residual,
                is_one_module=True,
            )
        )
        frames = stages[-1].frames_behind
    return tuple(stages)


def _convolution(inputs: int, outputs: int, kernel: int = KERNEL) -> int:
    return (inputs * kernel + 1) * outputs


def _block(inputs: int, outputs: int) -> int:
    shortcut = _convolution(inputs, outputs, 1) if inputs != outputs else 0
    return inputs + outputs + _convolution(inputs, outputs) + _convolution(outputs, outputs) + shortcut


def _middle(width: int) -> int:
    attention = width + _convolution(width, 3 * width, 1) + _convolution(width, width, 1)
    return 2 * _block(width, width) + attention


def _stage(stage: Stage) -> int:
    count = _block(stage.inputs, stage.outputs)
    count += (stage.num_blocks - 1) * _block(stage.outputs, stage.outputs)
    if stage.resampling is not None:
        count += _convolution(stage.outputs, stage.resampled, 9)
    if stage.resampling == "space and time":
        growth = max(1, stage.frames_behind // stage.frames)  # a decoder makes two frames of one
        count += _convolution(stage.outputs, growth * stage.outputs, 3)
    return count
