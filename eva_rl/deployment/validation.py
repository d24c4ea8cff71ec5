"""Checks a manifest against the fields that KubeRay has, before a cluster sees it."""

import json
from collections.abc import Mapping
from importlib import resources
from typing import Any

SCHEMA_FILE = "kuberay.schema.json"


class ManifestError(ValueError):
    """A manifest that KubeRay would refuse; names every wrong field by its path."""


def check_manifest(manifest: Mapping[str, Any]) -> None:
    """Checks field names, types, required fields and enums of a RayCluster or RayJob.

    Raises:
        ManifestError: with one sentence per wrong field.
    """
    import jsonschema

    schema = json.loads(resources.files("eva_rl.deployment").joinpath(SCHEMA_FILE).read_text())
    kind = manifest.get("kind")
    if kind not in ("RayCluster", "RayJob"):
        raise ManifestError(f"kind must be RayCluster or RayJob, got {kind!r}")
    validator = jsonschema.Draft202012Validator(schema | {"$ref": f"#/$defs/{kind}"})
    problems = [
        f"{_path(error.absolute_path)}: {error.message[:200]}" for error in validator.iter_errors(manifest)
    ]
    if problems:
        raise ManifestError("\n".join(problems))


def _path(parts: Any) -> str:
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts)
    return text.removeprefix(".") or "manifest"
