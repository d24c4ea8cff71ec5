"""Nothing outside of a dataset is opened, whatever its metadata and its links say.

A dataset comes from somewhere else. Its templates, links and file names choose which files are read, and what
is read may end up in a report or a model; so every location is followed to its end before it is opened.
"""

import os
import stat
from pathlib import PurePosixPath
from urllib.parse import urlsplit

import pyarrow.fs

from eva_rl.data.damage import DamagedEpisodeError
from eva_rl.data.storage import filesystem_of, is_uri


def inside(location: str, root: str | None, *, source: object = None) -> str:
    """Returns a location after making sure that it lies in a directory, and is no pipe or device.

    Args:
        location: file or directory, local or remote.
        root: directory that it must lie in once all links are followed; None: anywhere, the user named it.
        source: what to name in a message; default: the location itself.

    Raises:
        DamagedEpisodeError: it leads out of `root`, or is neither a file nor a directory.
    """
    named = location if source is None else source
    mention = "" if source is None else f"{location} "
    if is_remote(location):
        if root is not None and not _is_below(urlsplit(location).path, urlsplit(root).path):
            raise DamagedEpisodeError(named, f"{mention}leads out of {root}, and is not read")
        return location
    _, path = filesystem_of(location)
    end = os.path.realpath(path)
    if root is not None and not _is_below(end, _boundary(root)):
        raise DamagedEpisodeError(
            named,
            f"{mention}leads to {end}, out of {root}, and is not read; copy what is linked (cp -rL), or "
            "give the directory that holds both",
        )
    if os.path.exists(end) and not _is_plain(end):
        raise DamagedEpisodeError(named, f"{mention}is neither a file nor a directory, and is not read")
    return location


def _boundary(root: str) -> str:
    """The real directory; of a snapshot in the Hugging Face cache, the repository that its links lead to."""
    end = os.path.realpath(filesystem_of(root)[1])
    repository = os.path.dirname(os.path.dirname(end))
    is_snapshot = os.path.basename(os.path.dirname(end)) == "snapshots"
    return repository if is_snapshot and os.path.isdir(os.path.join(repository, "blobs")) else end


def is_remote(location: str) -> bool:
    """Whether a location lies in an object store, where there are no links, rather than on a disk."""
    return is_uri(location) and not isinstance(filesystem_of(location)[0], pyarrow.fs.LocalFileSystem)


def _is_below(path: str, root: str) -> bool:
    return ".." not in PurePosixPath(path).parts and PurePosixPath(path).is_relative_to(root)


def _is_plain(path: str) -> bool:
    mode = os.stat(path).st_mode
    return stat.S_ISREG(mode) or stat.S_ISDIR(mode)
