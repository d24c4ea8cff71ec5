"""Files on disks and in object stores, by one kind of name: a local path, or a URI such as s3://bucket/key.

URIs are those of pyarrow: s3://, gs://, hdfs://, file://, with options behind a question mark
(`s3://bucket/key?region=eu-west-1`). Keys are written as they are, not percent-encoded. Credentials belong in
the environment or the machine's role, not in a URI: messages name it.
"""

import io
import os
from functools import lru_cache
from pathlib import PurePosixPath
from typing import BinaryIO, Literal, cast
from urllib.parse import urlsplit, urlunsplit

import pyarrow.fs

REMOTE_BUFFER = 2**20
"""Bytes per request to an object store: it answers a megabyte about as fast as a kilobyte."""


def is_uri(location: str) -> bool:
    """Whether a location is a URI rather than a local path."""
    return "://" in location


def filesystem_of(location: str) -> tuple[pyarrow.fs.FileSystem, str]:
    """Returns the file system that holds a location, and the path there.

    Raises:
        ValueError: pyarrow knows no such URI scheme.
    """
    if not is_uri(location):
        return pyarrow.fs.LocalFileSystem(), os.path.abspath(location)
    parts = urlsplit(location)
    system, root = _filesystem(parts.scheme, parts.netloc, parts.query)
    return system, f"{root.rstrip('/')}{parts.path}"


@lru_cache(maxsize=8)
def _filesystem(scheme: str, host: str, options: str) -> tuple[pyarrow.fs.FileSystem, str]:
    root = urlunsplit((scheme, host, "" if host else "/", options, ""))
    return pyarrow.fs.FileSystem.from_uri(root if "://" in root else f"{scheme}:///")


def join(location: str, *names: str) -> str:
    """Returns the location of something inside a directory."""
    if not is_uri(location):
        return os.path.join(location, *names)
    parts = urlsplit(location)
    path = "/".join([parts.path.rstrip("/"), *names])
    return urlunsplit(parts._replace(path=path))


def path_of(location: str) -> str:
    """The path alone, absolute: without a URI's scheme, host and options."""
    return urlsplit(location).path if is_uri(location) else os.path.abspath(location)


def parents(location: str) -> list[str]:
    """Names of the directories that hold a location, innermost first: ["data", "embedded", …]."""
    return [parent.name for parent in PurePosixPath(path_of(location)).parents if parent.name]


def name_of(location: str) -> str:
    """The last name of a location: of a file, or of a directory."""
    return PurePosixPath(path_of(location)).name


def stem(location: str) -> str:
    """A file's name without its ending."""
    return PurePosixPath(path_of(location)).stem


def replace_end(location: str, *, num_names: int, by: str) -> str:
    """Returns a neighbour: the last `num_names` names exchanged for another path, or for none."""
    parts = urlsplit(location) if is_uri(location) else None
    path = os.path.abspath(location) if parts is None else parts.path
    kept = PurePosixPath(path).parents[num_names - 1]
    neighbour = str(kept / by if by else kept)
    return neighbour if parts is None else urlunsplit(parts._replace(path=neighbour))


def kind_of(location: str) -> Literal["file", "directory", "missing"]:
    """Tells what lies at a location.

    Raises:
        OSError: the store does not answer, or refuses.
        ValueError: pyarrow knows no such URI scheme.
    """
    system, path = filesystem_of(location)
    kinds = {pyarrow.fs.FileType.File: "file", pyarrow.fs.FileType.Directory: "directory"}
    found = kinds.get(system.get_file_info(path).type, "missing")
    return cast(Literal["file", "directory", "missing"], found)


def read_bytes(location: str) -> bytes:
    """Reads a whole file.

    Raises:
        OSError: it is missing or not readable.
    """
    system, path = filesystem_of(location)
    with system.open_input_file(path) as file:
        return file.read()


def open_file(location: str) -> BinaryIO:
    """Opens a file for reading at any place; of a remote one, only what is asked for is fetched.

    Raises:
        OSError: it is missing or not readable.
    """
    if not is_uri(location):
        return open(location, "rb")
    system, path = filesystem_of(location)
    return cast(BinaryIO, io.BufferedReader(system.open_input_file(path), REMOTE_BUFFER))


def write_bytes(location: str, content: bytes) -> None:
    """Writes a whole file, and the directories above it; a crash leaves no half-written one behind.

    Raises:
        OSError: the disk is full, or the store refuses.
    """
    system, path = filesystem_of(location)
    system.create_dir(os.path.dirname(path), recursive=True)
    is_local = isinstance(system, pyarrow.fs.LocalFileSystem)
    # Object stores show a file when it is complete, and cannot rename one.
    unfinished = os.path.join(os.path.dirname(path), f".unfinished_{os.path.basename(path)}")
    with system.open_output_stream(unfinished if is_local else path, buffer_size=REMOTE_BUFFER) as file:
        file.write(content)
    if is_local:
        system.move(unfinished, path)


def resolved(location: str) -> str:
    """The same location whatever directory a process works in: an absolute path, or the URI as it is."""
    return location if is_uri(location) else os.path.abspath(location)
