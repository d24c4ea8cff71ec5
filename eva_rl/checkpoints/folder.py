"""A directory on any file system that pyarrow knows, as one thing that travels between processes."""

import hashlib
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from pyarrow.fs import FileSelector, FileSystem, FileType, LocalFileSystem

_BUFFER = 2**20
UNFINISHED = ".unfinished"
"""Ending of a local file that is not complete yet."""


@dataclass(frozen=True)
class Folder:
    """Where files are written once and read whole.

    Example:
        Folder(S3FileSystem(), "bucket/runs/embedded/checkpoints")
    """

    filesystem: FileSystem
    path: str

    @classmethod
    def local(cls, directory: Path | str) -> "Folder":
        """A directory of this machine, or one that all machines share."""
        return cls(LocalFileSystem(), os.path.abspath(directory))

    def __str__(self) -> str:
        """The path, with the kind of file system where it is not a local one."""
        return self.path if self.is_local else f"{self.filesystem.type_name}://{self.path}"

    def __truediv__(self, name: str) -> "Folder":
        """A directory inside."""
        return Folder(self.filesystem, f"{self.path}/{name}")

    @property
    def is_local(self) -> bool:
        """Whether it is a directory that the operating system knows."""
        return isinstance(self.filesystem, LocalFileSystem)

    def write(self, name: str, content: bytes) -> str:
        """Writes a file that is seen whole or not at all, and on disk when this returns.

        Returns:
            Its SHA-256.

        Raises:
            OSError: the disk is full, or the store does not answer.
        """
        path = f"{self.path}/{name}"
        target = path
        if self.is_local:  # object stores have no directories, and show a file when it is complete
            os.makedirs(os.path.dirname(path), exist_ok=True)
            target += UNFINISHED
        with self.filesystem.open_output_stream(target, buffer_size=_BUFFER) as stream:
            stream.write(content)
        if self.is_local:
            _flush_to_disk(target)
            os.replace(target, path)
            _flush_to_disk(os.path.dirname(path))
        return hashlib.sha256(content).hexdigest()

    def read(self, name: str) -> bytes:
        """Reads a file.

        Raises:
            OSError: it is missing, or the store does not answer.
        """
        with self.filesystem.open_input_stream(f"{self.path}/{name}") as stream:
            return stream.read()

    def names(self) -> list[str]:
        """Every complete file below, relative and sorted; empty where there is no directory."""
        found = self.filesystem.get_file_info(FileSelector(self.path, allow_not_found=True, recursive=True))
        return sorted(
            os.path.relpath(info.path, self.path)
            for info in found
            if info.type == FileType.File and not info.path.endswith(UNFINISHED)
        )

    def remove_file(self, name: str) -> None:
        """Removes a file if it is there."""
        path = f"{self.path}/{name}"
        if self.filesystem.get_file_info(path).type == FileType.File:
            self.filesystem.delete_file(path)

    def remove(self) -> None:
        """Removes the directory with everything in it, if it is there."""
        if self.is_local:
            shutil.rmtree(self.path, ignore_errors=True)
        else:
            for name in self.names():
                self.filesystem.delete_file(f"{self.path}/{name}")


def _flush_to_disk(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
