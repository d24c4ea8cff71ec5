"""A look at a file of weights from outside before any reader opens it: is it what it says, and as big?"""

import json
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

MAX_HEADER_BYTES = 25 * 10**6
"""Of a safetensors file; that of a 14 B model has a tenth of a megabyte."""
HEADER_LENGTH_BYTES = 8


class HostileFileError(ValueError):
    """A file that is not what it claims to be; it was not read any further, and the message names it."""


def check_safetensors(file: Path) -> None:
    """Compares the header with the file: its own length, and where each tensor is said to lie.

    Raises:
        HostileFileError: the header is too long, is no JSON object, or speaks of bytes that are not there.
        OSError: the file cannot be opened.
    """
    size = file.stat().st_size
    with file.open("rb") as stream:
        start = stream.read(HEADER_LENGTH_BYTES)
        length = struct.unpack("<Q", start)[0] if len(start) == HEADER_LENGTH_BYTES else 0
        if not 0 < length <= min(MAX_HEADER_BYTES, size - HEADER_LENGTH_BYTES):
            raise HostileFileError(
                f"{file} is no safetensors file: its header claims {length} bytes, the file has {size} and "
                f"{MAX_HEADER_BYTES} are allowed; fetch the file again from where it was published"
            )
        header = stream.read(length)
    try:
        entries = json.loads(header)
    except (ValueError, RecursionError) as error:
        raise HostileFileError(f"{file} is no safetensors file: its header is no JSON") from error
    if not isinstance(entries, dict):
        raise HostileFileError(f"{file} is no safetensors file: its header is no JSON object")
    available = size - HEADER_LENGTH_BYTES - length
    for name, entry in entries.items():
        if name != "__metadata__" and not _lies_within(entry, available):
            raise HostileFileError(
                f"{file}: {name[:80]!r} is said to lie at {str(entry)[:120]}, but only {available} bytes "
                "follow the header; fetch the file again from where it was published"
            )


def check_torch_file(file: Path, *, max_bytes: int) -> None:
    """Refuses what would unpack to more than it is: files of torch.save are archives without compression.

    Args:
        file: to be read with `torch.load(..., weights_only=True)`, and not otherwise.
        max_bytes: no file of this kind is larger.

    Raises:
        HostileFileError: too large, compressed, or an archive that claims more bytes than it has.
        OSError: the file cannot be opened.
    """
    size = file.stat().st_size
    if size > max_bytes:
        raise HostileFileError(
            f"{file} has {size} bytes, more than the {max_bytes} that such a file may have"
        )
    if not zipfile.is_zipfile(file):
        return
    with zipfile.ZipFile(file) as archive:
        members = archive.infolist()
    packed = [member.filename for member in members if member.compress_type != zipfile.ZIP_STORED]
    claimed = sum(member.file_size for member in members)
    if packed or claimed > size:
        raise HostileFileError(
            f"{file} was not written by torch.save: {packed[:1] or 'its members'} would unpack to more than "
            f"is there ({claimed} bytes from {size}); convert it where it comes from, to safetensors"
        )


def check_tensors(weights: Mapping[Any, Any], file: Path) -> None:
    """Refuses tensors that repeat few stored values over a huge shape: a copy of them would fill the memory.

    Args:
        weights: name -> tensor, as a reader gave them.
        file: named in the error.

    Raises:
        HostileFileError: naming the tensor.
    """
    for name, tensor in weights.items():
        if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
            raise HostileFileError(
                f"{file}: {str(name)[:80]!r} has shape {list(tensor.shape)}, but the file holds only "
                f"{tensor.untyped_storage().nbytes()} bytes of it"
            )


def _lies_within(entry: Any, available: int) -> bool:
    offsets = entry.get("data_offsets") if isinstance(entry, dict) else None
    if not isinstance(offsets, list) or len(offsets) != 2:
        return False
    first, end = offsets
    return isinstance(first, int) and isinstance(end, int) and 0 <= first <= end <= available
