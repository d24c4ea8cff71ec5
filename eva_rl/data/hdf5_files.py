"""HDF5 files, local or remote, read so that whatever is wrong with one is said with its name."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import h5py
import numpy as np
from h5py import h5l  # pyright: ignore[reportAttributeAccessIssue]
from numpy.typing import NDArray

from eva_rl.data.damage import DamagedEpisodeError, damage_named
from eva_rl.data.storage import read_bytes
from eva_rl.records.episode import ByteRange

LARGEST_COMPRESSION = 1100
"""Deflate packs at most 1032 bytes into one."""

HEAP_MARK = b"GCOL\1\0\0\0"


@contextmanager
def open_hdf5(location: str) -> Iterator[h5py.File]:
    """Opens a file for reading. It is fetched whole: HDF5 reads in many small pieces.

    Raises:
        DamagedEpisodeError: it is missing, truncated or no HDF5 file, or reading it fails inside.
    """
    with damage_named(location, "not readable"):
        content = read_bytes(location)
        _check_heaps(content)
        with h5py.File(io.BytesIO(content), "r") as file:
            yield file


def _check_heaps(content: bytes) -> None:
    """Refuses damaged global heaps (where strings lie): the HDF5 library would walk through them for ever.

    Layout: HDF5 File Format Specification, III.E "Disk Format: Level 1E - Global Heap".

    Raises:
        ValueError: the objects of a heap do not fill it.
    """
    start = content.find(HEAP_MARK)
    while start >= 0:
        end = start + int.from_bytes(content[start + 8 : start + 16], "little")
        place = start + 16
        while place + 16 <= end:
            number = int.from_bytes(content[place : place + 2], "little")
            size = int.from_bytes(content[place + 8 : place + 16], "little")
            # Number 0 is the space that is left, its own head included.
            place += 16 + (size + 7) // 8 * 8 if number else size
            if (number == 0 and place != end) or place > min(end, len(content)):
                raise ValueError(f"global heap at byte {start} is damaged")
        start = content.find(HEAP_MARK, start + len(HEAP_MARK))


def whole_file(file: h5py.File, location: str) -> tuple[ByteRange, ...]:
    """The bytes of an episode that has a file to itself."""
    return (ByteRange(path=location, first=0, end=int(file.id.get_filesize())),)


def has(file: h5py.File, name: str) -> bool:
    """Whether a file has something of that name that can be opened, and lies in the file itself."""
    try:
        return _link_on(file, name) is None and name in file
    except (RuntimeError, ValueError, KeyError):  # a damaged group
        return False


def array(file: h5py.File, name: str, location: str) -> NDArray[Any]:
    """Reads a dataset.

    Raises:
        DamagedEpisodeError: there is none of that name, it cannot be as large as it says, or its numbers lie
            in another file.
    """
    if link := _link_on(file, name):
        raise DamagedEpisodeError(location, f"{link} is a link; only what lies in the file itself is read")
    dataset = file.get(name)
    if not isinstance(dataset, h5py.Dataset):
        raise DamagedEpisodeError(location, f"has no dataset {name}{_neighbours(file, name)}")
    layout = dataset.id.get_create_plist()
    if layout.get_external_count() or layout.get_layout() == h5py.h5d.VIRTUAL:
        raise DamagedEpisodeError(
            location, f"{name} takes its numbers out of another file, which is not read"
        )
    ratio = LARGEST_COMPRESSION if layout.get_nfilters() else 1
    # HDF5 would try to read what a damaged shape claims, for hours.
    if dataset.nbytes > ratio * file.id.get_filesize():
        raise DamagedEpisodeError(
            location, f"{name} claims to be {list(dataset.shape)}, more than the file can hold"
        )
    return np.asarray(dataset)


def _link_on(file: h5py.File, name: str) -> str | None:
    """The first soft or external link on the way to something: those may lead into another file."""
    parts, links = name.encode().split(b"/"), file.id.links
    for depth in range(1, len(parts) + 1):
        path = b"/".join(parts[:depth])
        if not links.exists(path):
            return None
        if links.get_info(path).type != h5l.TYPE_HARD:
            return path.decode()
    return None


def numbers(file: h5py.File, name: str, location: str) -> NDArray[np.float32]:
    """Reads a dataset of numbers as rows: [frames, columns]; one number per frame becomes one column.

    Raises:
        DamagedEpisodeError: it is missing, or holds something else.
    """
    values = array(file, name, location)
    if values.dtype.kind not in "fiu" or values.ndim not in (1, 2):
        raise DamagedEpisodeError(
            location, f"{name} is {values.dtype} {list(values.shape)}, wanted numbers [frames, columns]"
        )
    with np.errstate(over="ignore"):
        rows = values.astype(np.float32)
    return rows[:, None] if rows.ndim == 1 else rows


def text(file: h5py.File, name: str, location: str) -> str:
    """Reads one string.

    Raises:
        DamagedEpisodeError: it is missing, or holds something else.
    """
    value = array(file, name, location).item()
    return value.decode() if isinstance(value, bytes) else str(value)


def _neighbours(file: h5py.File, name: str) -> str:
    """What there is where a dataset was looked for, for the message that misses it."""
    parts = name.split("/")
    for depth in range(len(parts) - 1, -1, -1):
        name = "/".join(parts[:depth])
        group = file.get(name) if name else file
        if isinstance(group, h5py.Group):
            return f"; {group.name} holds {', '.join(sorted(group)) or 'nothing'}"
    return ""
