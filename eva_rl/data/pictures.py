"""Compressed pictures of an episode, decoded one at a time."""

import io
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from eva_rl.data.damage import DamagedEpisodeError, damage_named

WHOLE = ((b"\xff\xd8", b"\xff\xd9"), (b"\x89PNG", b"IEND\xaeB`\x82"), (b"RIFF", b""))
"""How the pictures of FORMATS begin and end, as far as that is fixed."""

FORMATS = ("JPEG", "PNG", "WEBP")
"""Others are not opened: Pillow hands PostScript to another program, for example."""


def decode_rgb(image: bytes) -> NDArray[np.uint8]:
    """Decompresses a picture: [height, width, 3], RGB, 0..255.

    Raises:
        OSError: it is truncated or no picture.
    """
    try:
        with Image.open(io.BytesIO(bytes(image)), formats=FORMATS) as picture:
            return np.asarray(picture.convert("RGB"))
    except UnidentifiedImageError as error:  # it names an object in memory
        raise OSError(f"it is no {', '.join(FORMATS)} picture") from error


def check_whole(images: Sequence[Any] | NDArray[Any], *, source: str, camera: str) -> None:
    """Finds empty, cut and foreign pictures, fast: decodes only those that begin or end strangely.

    Args:
        images: one compressed picture per frame; arrays of pixels are whole as they are.
        source: what to name in a message.
        camera: whose pictures they are.

    Raises:
        DamagedEpisodeError: names the first frame whose picture cannot be decoded.
    """
    for number, image in enumerate(images):
        if isinstance(image, np.ndarray) and image.ndim == 3:
            return
        with damage_named(source, f"images of {camera} not readable: frame {number}"):
            content = bytes(image).rstrip(b"\0")
            if not any(content.startswith(start) and content.endswith(end) for start, end in WHOLE):
                decode_rgb(content)  # decides: an altered end may lie behind a whole picture


def frames_of(
    images: Sequence[Any] | NDArray[Any],
    indices: Sequence[int],
    *,
    decode: Callable[[Any], NDArray[np.uint8]],
    source: str,
    camera: str,
) -> Iterator[NDArray[np.uint8]]:
    """Decodes the chosen ones of an episode's pictures.

    Args:
        images: one compressed picture per frame.
        indices: which.
        decode: picture -> [height, width, 3], RGB, 0..255.
        source: what to name in a message.
        camera: whose pictures they are.

    Yields:
        [height, width, 3], RGB, 0..255.

    Raises:
        DamagedEpisodeError: a picture is truncated, none, or of another size than those before.
    """
    shape = None
    for index in indices:
        with damage_named(source, f"images of {camera} not readable: frame {index}"):
            frame = decode(images[index])
        if frame.shape != (shape or frame.shape):
            raise DamagedEpisodeError(
                source, f"images of {camera} differ in size: {shape} and, in frame {index}, {frame.shape}"
            )
        shape = frame.shape
        yield frame
