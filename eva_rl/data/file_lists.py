"""Which files lie below a directory; links to directories are not walked through."""

import os
from collections.abc import Collection, Iterator

import pyarrow.fs

from eva_rl.data.containment import inside, is_remote
from eva_rl.data.storage import filesystem_of, join


def list_files(directory: str, *, endings: Collection[str]) -> list[str]:
    """Lists the files below a directory, at any depth, whose names end in one of `endings`; sorted.

    A link to a directory below `directory` is passed over: what it leads to is listed in its own place.
    A link to a file is listed, wherever it leads: whoever opens it must ask `inside`.

    Raises:
        OSError: the directory does not exist, or the store does not answer.
        DamagedEpisodeError: a link leads to a directory elsewhere.
    """
    _, root = filesystem_of(directory)
    names = [os.path.relpath(path, root) for path in _files_below(directory) if path.endswith(tuple(endings))]
    return [join(directory, name) for name in sorted(names)]


def fingerprint(directory: str) -> tuple[tuple[str, int | None, int | None], ...]:
    """Name, size and time of change of every file below a directory: equal if nothing was changed."""
    system, _ = filesystem_of(directory)
    files = system.get_file_info(list(_files_below(directory)))
    return tuple(sorted((file.path, file.size, file.mtime_ns) for file in files))


def _files_below(directory: str) -> Iterator[str]:
    system, root = filesystem_of(directory)
    if is_remote(directory):
        found = system.get_file_info(pyarrow.fs.FileSelector(root, recursive=True))
        yield from (file.path for file in found if file.is_file)
        return
    os.listdir(root)  # os.walk says nothing about a directory that does not exist
    for folder, folders, files in os.walk(root, onerror=_raise):
        for name in folders:
            if os.path.islink(path := os.path.join(folder, name)):
                inside(path, directory)
        yield from (os.path.join(folder, name) for name in files)


def _raise(error: OSError) -> None:
    raise error
