"""Single pictures out of a video file, found by their time; decoded from the nearest keyframe, never guessed.

First the packets around the wanted times are read without decoding: they say exactly which pictures exist.
Then only the stretches between keyframes that hold a wanted picture are decoded.
"""

import itertools
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import cast

import av
import numpy as np
from av.container import InputContainer
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from eva_rl.data.damage import DamagedEpisodeError, damage_named
from eva_rl.data.storage import REMOTE_BUFFER, is_uri, open_file
from eva_rl.records.episode import ByteRange

CONTAINERS = {"format_whitelist": "mov,mp4,m4a,3gp,3g2,mj2"}
"""Containers that hold their own pictures; playlists make ffmpeg open what they name, here or elsewhere."""


@dataclass(frozen=True, kw_only=True)
class _Stretch:
    """Packets from one keyframe to the next, in decoding order, and when their pictures are shown."""

    packets: list[av.Packet]
    times: list[int]

    def holds(self, times: Collection[int]) -> bool:
        """Whether one of its pictures is shown at one of these times."""
        return not set(times).isdisjoint(self.times)


def frames_at(location: str, times_s: Sequence[float], *, tolerance_s: float) -> Iterator[NDArray[np.uint8]]:
    """Decodes the picture nearest to each time.

    Args:
        location: video file, local or remote.
        times_s: ascending times since the start of the file.
        tolerance_s: half a frame: a picture further away than this is a missing one.

    Yields:
        [height, width, 3], RGB, 0..255, one per time.

    Raises:
        DamagedEpisodeError: the file is missing or damaged, or has no picture at one of the times.
    """
    num_found = 0
    try:
        for frame in _frames_at(location, times_s, tolerance_s=tolerance_s):
            yield frame
            num_found += 1
    except DamagedEpisodeError:
        # Some cameras' keyframes are no fresh starts: then only the way from the beginning leads there.
        again = _frames_at(location, times_s, tolerance_s=tolerance_s, skips=False)
        yield from itertools.islice(again, num_found, None)


def _frames_at(
    location: str, times_s: Sequence[float], *, tolerance_s: float, skips: bool = True
) -> Iterator[NDArray[np.uint8]]:
    if not times_s:
        return
    with _open(location) as container:
        stream = container.streams.video[0]
        unit_s = float(cast(float, stream.time_base))
        first_s, last_s = times_s[0] if skips else 0.0, times_s[-1] + tolerance_s
        stretches = list(_stretches(container, first_s=first_s, last_s=last_s))
        shown = np.array(sorted(time for stretch in stretches for time in stretch.times), dtype=np.int64)
        wanted = [_nearest(shown, time_s, unit_s, tolerance_s, location) for time_s in times_s]
        pictures = _decode(stretches, stream.codec_context, wanted=wanted, skips=skips, location=location)
        current_time, current = next(pictures)
        for time in wanted:
            while current_time < time:
                current_time, current = next(pictures)
            yield current


def check_times(location: str, times_s: Sequence[float], *, tolerance_s: float) -> None:
    """Makes sure that a video has a picture at each time, without decoding any.

    Args:
        location: video file, local or remote.
        times_s: ascending times since the start of the file.
        tolerance_s: half a frame.

    Raises:
        DamagedEpisodeError: the file is missing or damaged, or has no picture at one of the times.
    """
    with _open(location) as container:
        unit_s = float(cast(float, container.streams.video[0].time_base))
        stretches = _stretches(container, first_s=times_s[0], last_s=times_s[-1] + tolerance_s)
        shown = np.array(sorted(time for stretch in stretches for time in stretch.times), dtype=np.int64)
        for time_s in times_s:
            _nearest(shown, time_s, unit_s, tolerance_s, location)


def bytes_at(location: str, *, first_s: float, last_s: float) -> ByteRange:
    """Bytes of the pictures between two times, from the keyframe that they are decoded from.

    Raises:
        DamagedEpisodeError: the file is missing or damaged, or has no pictures there.
    """
    with _open(location) as container:
        stretches = _stretches(container, first_s=first_s, last_s=last_s)
        places = [
            (packet.pos, packet.pos + packet.size)
            for stretch in stretches
            for packet in stretch.packets
            if packet.pos is not None
        ]
        if not places:
            raise DamagedEpisodeError(location, f"has no pictures from {first_s:g} s to {last_s:g} s")
        firsts, ends = zip(*places, strict=True)
        return ByteRange(path=location, first=min(firsts), end=max(ends))


@contextmanager
def _open(location: str) -> Iterator[InputContainer]:
    buffer_size = REMOTE_BUFFER if is_uri(location) else 2**15
    with (
        damage_named(location, "video not readable"),
        open_file(location) as file,
        av.open(file, "r", buffer_size=buffer_size, options=CONTAINERS) as container,
    ):
        if not container.streams.video:
            raise DamagedEpisodeError(location, "holds no video")
        decoder = container.streams.video[0].codec_context
        decoder.thread_count = 1  # readers run beside each other already
        decoder.options = {"err_detect": "explode"}  # else damaged pictures are patched up with grey
        yield container


def _stretches(container: InputContainer, *, first_s: float, last_s: float) -> Iterator[_Stretch]:
    """Reads packets from the keyframe before `first_s` until all pictures up to `last_s` are there."""
    stream = container.streams.video[0]
    unit_s = float(cast(float, stream.time_base))
    first = max(stream.start_time or 0, round(first_s / unit_s))
    container.seek(first, stream=stream, backward=True, any_frame=False)
    packets: list[av.Packet] = []
    for packet in container.demux(stream):
        if packet.pts is None:
            continue
        if packet.is_keyframe and packets:
            yield _Stretch(packets=packets, times=[cast(int, each.pts) for each in packets])
            packets = []
            if packet.pts * unit_s > last_s:
                return
        packets.append(packet)
    if packets:
        yield _Stretch(packets=packets, times=[cast(int, each.pts) for each in packets])


def _nearest(
    shown: NDArray[np.int64], time_s: float, unit_s: float, tolerance_s: float, location: str
) -> int:
    right = int(np.searchsorted(shown, time_s / unit_s))
    around = shown[max(0, right - 1) : right + 1]
    distances = np.abs(around * unit_s - time_s)
    if len(around) == 0 or distances.min() > tolerance_s:
        end = (
            f"its last picture there is at {shown[-1] * unit_s:.3f} s" if len(shown) else "it has none there"
        )
        raise DamagedEpisodeError(
            location, f"has no picture within {tolerance_s:.3f} s of {time_s:.3f} s; {end}"
        )
    return int(around[distances.argmin()])


def _decode(
    stretches: Sequence[_Stretch],
    decoder: av.VideoCodecContext,
    *,
    wanted: Collection[int],
    skips: bool,
    location: str,
) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """Yields (time, picture) of the wanted times, ascending; may skip stretches without a wanted one."""
    remaining = sorted(set(wanted))
    to_rgb = VideoReformatter()
    last_decoded = None
    for number, stretch in enumerate(stretches):
        if skips and not stretch.holds(remaining):
            continue
        is_fresh_start = last_decoded != number - 1
        if is_fresh_start and last_decoded is not None:
            yield from _wanted(decoder.decode(None), remaining, to_rgb)
            decoder.flush_buffers()
        # Pictures shown before the keyframe refer to the stretch before it.
        first = stretch.times[0] if is_fresh_start else min(stretch.times)
        for packet in (each for each in stretch.packets if cast(int, each.pts) >= first):
            yield from _wanted(decoder.decode(packet), remaining, to_rgb)
        last_decoded = number
    if last_decoded is not None:
        yield from _wanted(decoder.decode(None), remaining, to_rgb)
    if remaining:
        raise DamagedEpisodeError(location, f"{len(remaining)} pictures could not be decoded")


def _wanted(
    frames: Sequence[av.VideoFrame], remaining: list[int], to_rgb: VideoReformatter
) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    for frame in frames:
        if remaining and frame.pts == remaining[0]:
            remaining.pop(0)
            picture = cast(NDArray[np.uint8], to_rgb.reformat(frame, format="rgb24").to_ndarray())
            yield cast(int, frame.pts), picture
