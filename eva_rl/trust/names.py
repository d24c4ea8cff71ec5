"""Names of files that come from a manifest or an index: they stay inside the directory that names them."""

from pathlib import PurePosixPath, PureWindowsPath


def is_inside(name: object) -> bool:
    """Whether a name leads to a file below the directory it is relative to, on any system.

    Args:
        name: as a manifest or index gives it.
    """
    if not isinstance(name, str) or not name or "\0" in name or "\\" in name:
        return False
    path = PurePosixPath(name)
    leaves = path.is_absolute() or bool(PureWindowsPath(name).drive) or ".." in path.parts
    return not leaves and path != PurePosixPath(".")


def is_plain_name(name: str) -> bool:
    """Whether a name can be part of a file's name without leading anywhere else."""
    return is_inside(name) and "/" not in name and not name.startswith(".")
