"""Camera frames as RoboTwin stores them: compressed with red and blue swapped.

RoboTwin hands RGB arrays to `cv2.imencode`, which believes that they are BGR. So the stored JPEG is a picture
with red and blue exchanged: `cv2.imdecode` (BGR out) gives RGB back, a decoder that answers in RGB gives BGR.
Both functions here speak RGB on the Python side and the swapped picture on the file side.
"""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

JPEG_QUALITY = 98
"""Mean error 0.9, largest 10 of 255 on the embedded simulator's 48 x 64 frames; 1.7 and 25 at quality 95."""


def encode_frames(frames: NDArray[np.uint8], *, quality: int = JPEG_QUALITY) -> NDArray[np.bytes_]:
    """Compresses RGB frames into the byte strings that RoboTwin's readers expect.

    Colour is kept at full resolution (4:4:4): halving it costs more than the quality factor at small sizes.

    Args:
        frames: [frames, height, width, 3], RGB, 0..255.
        quality: JPEG quality, 1..100.

    Returns:
        [frames], fixed-length byte strings, NUL padded.
    """
    return np.array([_encode(frame, quality=quality) for frame in frames], dtype=np.bytes_)


def decode_frames(images: NDArray[np.bytes_]) -> NDArray[np.uint8]:
    """Decompresses stored camera images into RGB frames.

    Args:
        images: [frames], compressed images in RoboTwin's channel order.

    Returns:
        [frames, height, width, 3], RGB, 0..255.

    Raises:
        OSError: an image is truncated or not an image.
        ValueError: the images differ in size, or there are none.
    """
    return np.stack([_decode(image) for image in images])


def _encode(frame: NDArray[np.uint8], *, quality: int) -> bytes:
    swapped = np.ascontiguousarray(frame[..., ::-1])
    stream = io.BytesIO()
    Image.fromarray(swapped).save(stream, format="JPEG", quality=quality, subsampling=0)
    return stream.getvalue()


def _decode(image: bytes) -> NDArray[np.uint8]:
    with Image.open(io.BytesIO(image)) as picture:
        swapped = np.asarray(picture.convert("RGB"))
    return swapped[..., ::-1]
