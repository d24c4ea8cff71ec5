"""Where the parts of a LeRobot episode lie: the path templates of info.json, filled in."""

import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from eva_rl.data.containment import inside
from eva_rl.data.damage import DamagedEpisodeError
from eva_rl.data.storage import join

FIELD = re.compile(
    r"\{(?P<name>episode_chunk|episode_index|chunk_index|file_index|video_key)(?::(?P<format>0?\d?\dd))?\}"
)
"""All that LeRobot's templates hold. Not `str.format`: a template comes from somewhere else, and format
strings can walk through objects or ask for a gigabyte of zeros."""


def fill_template(template: Any, values: Mapping[str, object], *, root: str, source: str) -> str:
    """Location of a file that a dataset's template names.

    Args:
        template: such as "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet".
        values: of the fields.
        root: directory of the dataset.
        source: what to name in a message: info.json.

    Raises:
        DamagedEpisodeError: it is no such template, or what it names lies outside of `root`.
    """
    if not isinstance(template, str) or "{" in FIELD.sub("", template) or "}" in FIELD.sub("", template):
        raise DamagedEpisodeError(source, f"path template {template!r} is not one of LeRobot's")
    unknown = {field["name"] for field in FIELD.finditer(template)} - set(values)
    if unknown:
        raise DamagedEpisodeError(
            source, f"path template {template!r} has {', '.join(sorted(unknown))}, which its version has not"
        )
    name = FIELD.sub(lambda field: format(values[field["name"]], field["format"] or ""), template)
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\0" in name:
        raise DamagedEpisodeError(
            source, f"path template {template!r} leads out of the dataset, to {name}, which is not read"
        )
    return inside(join(root, name), root)
