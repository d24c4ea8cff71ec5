"""Episodes that cannot be used: always with the name of the file and the reason."""

import re
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

import av
import pyarrow as pa
from PIL import Image

UNREADABLE = (
    OSError,
    EOFError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    RuntimeError,
    ArithmeticError,
    MemoryError,
    SyntaxError,
    struct.error,
    zlib.error,
    pa.ArrowException,
    av.FFmpegError,
    Image.DecompressionBombError,
    Image.DecompressionBombWarning,
)
"""What HDF5, Parquet, JSON, JPEG and video decoders raise over damaged bytes, as fuzzing found out."""


class DamagedEpisodeError(ValueError):
    """An episode that cannot be used; names the file and the reason."""

    def __init__(self, path: object, reason: str) -> None:
        super().__init__(str(path), reason)
        self.path = str(path)
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


@contextmanager
def damage_named(path: object, reason: str) -> Iterator[None]:
    """Turns whatever a decoder raises inside into a `DamagedEpisodeError` about `path`.

    Args:
        path: the file, or the episode, to name.
        reason: what could not be done; the decoder's own words follow in brackets.

    Raises:
        DamagedEpisodeError: something failed inside; one that is raised inside stays as it is.
    """
    try:
        yield
    except DamagedEpisodeError:
        raise
    except UNREADABLE as error:
        words = re.sub(r"^\[Errno \d+\] ", "", " ".join(str(error).split()))
        words = words.replace(f": '{path}'", "")[:300]
        raise DamagedEpisodeError(path, f"{reason} ({words or type(error).__name__})") from error
