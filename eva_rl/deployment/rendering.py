"""One deployment -> the files that operators apply, written or compared."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from eva_rl.deployment.kuberay import ray_cluster, ray_job, volume_claims
from eva_rl.deployment.loading import Deployment
from eva_rl.deployment.ray_up import ray_up_cluster
from eva_rl.deployment.slurm import slurm_script
from eva_rl.deployment.validation import check_manifest


def render(deployment: Deployment) -> dict[str, str]:
    """The text of every row of RENDERED_FILES, by file name.

    Raises:
        ManifestError: when a manifest has a field that KubeRay does not know.
    """
    return {name: write(deployment) for name, write in RENDERED_FILES.items()}


def write_files(files: Mapping[str, str], directory: Path) -> None:
    """Writes the rendered files; makes the directory."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (directory / name).write_text(text)


def outdated_files(files: Mapping[str, str], directory: Path) -> list[str]:
    """Names of files that are missing or differ from what rendering gives."""
    return [
        name
        for name, text in files.items()
        if not (directory / name).is_file() or (directory / name).read_text() != text
    ]


def _as_yaml(deployment: Deployment, *documents: Mapping[str, Any]) -> str:
    header = (
        f"# Rendered from {deployment.source} by `eva-rl cluster render`: change that file, not this one.\n"
    )
    return header + yaml.dump_all(documents, Dumper=_PlainDumper, sort_keys=False, width=110)


class _PlainDumper(yaml.SafeDumper):
    """Writes a part that occurs twice twice, instead of as an anchor and its alias."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _checked(manifest: Mapping[str, Any]) -> Mapping[str, Any]:
    check_manifest(manifest)
    return manifest


RENDERED_FILES: Mapping[str, Callable[[Deployment], str]] = {
    "volumes.yaml": lambda deployment: _as_yaml(deployment, *volume_claims(deployment)),
    "raycluster.yaml": lambda deployment: _as_yaml(deployment, _checked(ray_cluster(deployment))),
    "rayjob.yaml": lambda deployment: _as_yaml(deployment, _checked(ray_job(deployment))),
    "ray_up.yaml": lambda deployment: _as_yaml(deployment, ray_up_cluster(deployment)),
    "slurm.sh": slurm_script,
}
"""Every file of a deployment."""
