"""Which files the parts of a pipeline directory are made of: equal hashes, equal parts."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

CODEC_PARTS = ("vae",)


def hash_codec(directory: str | Path) -> str:
    """What identifies the codec of a pipeline directory: latents of equal codecs mean the same."""
    return hash_parts(directory, CODEC_PARTS)


def hash_parts(directory: str | Path, parts: Sequence[str]) -> str:
    """First 16 hex digits of the SHA-256 over the files of some parts.

    Entries of a JSON file that begin with an underscore do not count: they say who wrote it, and from where.

    Args:
        directory: pipeline directory.
        parts: its folders; those that it lacks count as empty.
    """
    digest, directory = hashlib.sha256(), Path(directory)
    for part in parts:
        for file in sorted(path for path in (directory / part).rglob("*") if path.is_file()):
            digest.update(str(file.relative_to(directory)).encode())
            if file.name == "config.json":
                known = json.loads(file.read_text())
                plain = {key: value for key, value in known.items() if not key.startswith("_")}
                digest.update(json.dumps(plain, sort_keys=True).encode())
                continue
            with file.open("rb") as stream:
                digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()[:16]
