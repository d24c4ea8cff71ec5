"""The most that a codec holds at once while it decodes or encodes, in bytes, weights not counted.

`AutoencoderKLWan` works on one latent frame after the other, in float32, and keeps the last two frames of
every convolution's input. Its peak is therefore

    kept frames of all convolutions + the video made so far + the largest working set of one layer

The working sets follow diffusers' code statement by statement: within a convolution a block holds its input,
the shortcut, the activated input, a copy of the frames to keep, that joined with the kept frames, and the
padded result. Workspaces inside one operation (cuDNN's, say) are not counted.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from eva_rl.planning.codec_shape import CodecShape, Stage

FLOAT = 4
KEPT_FRAMES = 2
TILE_SIDE, TILE_STRIDE = 256, 192
"""diffusers' own tiles, in the codec's pixels."""


@dataclass(frozen=True, kw_only=True)
class ClipSize:
    """Frames of a batch of clips.

    Example:
        ClipSize(batch=8, num_frames=81, height=480, width=832)
    """

    batch: int
    num_frames: int
    height: int
    width: int

    @property
    def video_bytes(self) -> int:
        """The clips themselves, in float32."""
        return FLOAT * 3 * self.batch * self.num_frames * self.height * self.width

    @property
    def num_latent_frames(self) -> int:
        """Latent frames of one clip."""
        return (self.num_frames - 1) // 4 + 1


def decode_bytes(codec: CodecShape, clips: ClipSize, *, slices: bool = False, tiles: bool = False) -> int:
    """Peak of decoding, the finished clips included.

    Args:
        codec: shape.
        clips: what comes out.
        slices: one clip after the other.
        tiles: in overlapping tiles, which are all kept until they are blended.
    """
    video = clips.video_bytes
    if codec.is_linear:
        return 4 * video  # blocks of sites, cut into pixels, joined in time, clamped
    if slices and clips.batch > 1:
        single = ClipSize(batch=1, num_frames=clips.num_frames, height=clips.height, width=clips.width)
        done = video * (clips.batch - 1) // clips.batch
        return max(2 * video, done + decode_bytes(codec, single, tiles=tiles))
    side = TILE_SIDE
    if tiles and max(clips.height, clips.width) > side:
        overlap = _overlap(clips.height, side, TILE_STRIDE) * _overlap(clips.width, side, TILE_STRIDE)
        tile = ClipSize(
            batch=clips.batch,
            num_frames=clips.num_frames,
            height=min(side, clips.height),
            width=min(side, clips.width),
        )
        kept = int(video * overlap)
        return max(kept + 3 * video, kept + decode_bytes(codec, tile))
    area = clips.batch * (clips.height // codec.folding) * (clips.width // codec.folding)
    kept, working = _walk(codec.decoder, area, is_single=clips.num_frames == 1)
    kept += _cache(codec.decoder[-1].outputs, area, clips.num_frames == 1)
    last = video // clips.num_latent_frames
    return max(kept + 2 * video, kept + video - last + working)


def encode_bytes(codec: CodecShape, clips: ClipSize, *, slices: bool = False, tiles: bool = False) -> int:
    """Peak of encoding, without the clips that come in.

    Args:
        codec: shape.
        clips: what goes in.
        slices: one clip after the other.
        tiles: in overlapping tiles.
    """
    if codec.is_linear:
        return 3 * clips.video_bytes
    batch = 1 if slices else clips.batch
    height, width = clips.height // codec.folding, clips.width // codec.folding
    if tiles:
        height, width = min(height, TILE_SIDE), min(width, TILE_SIDE)
    is_single = clips.num_frames == 1
    kept, working = _walk(codec.encoder, batch * height * width, is_single=is_single)
    kept += _cache(codec.pixel_channels, batch * height * width, is_single)
    folded = batch * clips.video_bytes // clips.batch if codec.folding > 1 else 0
    return kept + working + folded


def _overlap(size: int, side: int, stride: int) -> float:
    """Pixels of all tiles along one axis as a multiple of the axis."""
    return sum(min(side, size - start) for start in range(0, size, stride)) / size


def _cache(channels: int, area: int, is_single: bool) -> int:
    return FLOAT * channels * area * (1 if is_single else KEPT_FRAMES)


def _walk(stages: Sequence[Stage], area: int, *, is_single: bool) -> tuple[int, int]:
    """Bytes kept by all convolutions of the stages, and the largest working set of one layer."""
    kept, working = 0, [0]
    for stage in stages:
        sites = area // stage.shrink**2
        frames = 1 if is_single else stage.frames
        copy = FLOAT * stage.inputs * frames * sites if stage.keeps_input else 0
        for index in range(stage.num_blocks):
            inputs = stage.inputs if index == 0 else stage.outputs
            kept += _cache(inputs, sites, is_single) + _cache(stage.outputs, sites, is_single)
            held = stage.inputs * frames if index and stage.is_one_module else 0  # by the module's caller
            block = _block(inputs, stage.outputs, frames, sites, is_single=is_single)
            working.append(copy + FLOAT * held * sites + block)
        if stage.resampling is not None:
            if stage.resampling == "space and time":
                kept += _cache(stage.outputs, sites, is_single)
            working.append(copy + _resampling(stage, stages, sites, is_single=is_single))
    return kept, max(working)


def _block(inputs: int, outputs: int, frames: int, sites: int, *, is_single: bool) -> int:
    """A residual block, in either of its convolutions."""
    came_in = inputs * frames
    shortcut = outputs * frames if inputs != outputs else 0
    joined = frames if is_single else frames + KEPT_FRAMES  # the frames that a convolution sees
    new_cache = 1 if is_single else KEPT_FRAMES

    def convolution(channels: int) -> int:
        padded = channels * (frames + KEPT_FRAMES)
        behind = max(0 if is_single else channels * joined, outputs * frames)
        return channels * frames + channels * new_cache + padded + behind

    return FLOAT * sites * (came_in + shortcut + max(convolution(inputs), convolution(outputs)))


def _resampling(stage: Stage, stages: Sequence[Stage], sites: int, *, is_single: bool) -> int:
    """Up or down in space: the input, a copy by frames, that copy resized or padded, and the result."""
    grows = stage is not stages[-1] and stages[stages.index(stage) + 1].shrink < stage.shrink
    before = stage.outputs * (1 if is_single else stage.frames)
    if not grows:
        behind = stage.resampled * (1 if is_single else stage.frames) // 4
        return FLOAT * sites * (3 * before + behind)
    frames = 1 if is_single else stage.frames_behind
    resized = 4 * stage.outputs * frames
    result = 4 * stage.resampled * frames
    plain = before + stage.outputs * frames + resized + result
    repeated = 4 * result if stage.keeps_input else 0  # the added input, repeated and put in order
    return FLOAT * sites * max(plain, repeated)
