"""Where a run's numbers come from: command, code, versions, hardware, model files."""

import hashlib
import json
import os
import platform
import subprocess
import sys
from datetime import datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from eva_rl.config.section import ConfigError
from eva_rl.driver.run_directory import write_whole
from eva_rl.trust.secrets import without_secrets

MODEL_ROLES = ("world_model", "idm")
CONTINUATION = ("command", "commit", "sources", "started", "versions", "hardware")
"""Facts that every continuation of a run adds."""

_PACKAGES = ("eva-rl", "ray", "torch", "diffusers", "peft", "deepspeed", "transformers", "numpy", "mujoco")


def describe_run(*, seed: int, model_directories: dict[str, Path]) -> dict[str, Any]:
    """Facts that are known when a run starts.

    Args:
        seed: the run's seed.
        model_directories: directory per model role; each is hashed.
    """
    return {
        "command": " ".join([Path(sys.executable).name, _program(), *sys.argv[1:]]),
        "seed": seed,
        **code_version(),
        "started": datetime.now().astimezone().isoformat(timespec="seconds"),
        "versions": {name: version for name in _PACKAGES if (version := _version(name))},
        "hardware": _hardware(),
        **{
            role: {"directory": str(directory), "hash": hash_directory(directory)}
            for role, directory in model_directories.items()
        },
    }


def _program() -> str:
    """The program as it was called, relative to the current directory: `python -m` makes it absolute."""
    program, here = Path(sys.argv[0]), Path.cwd()
    return str(program.relative_to(here) if program.is_relative_to(here) else program)


def record_start(file: Path, facts: dict[str, Any]) -> None:
    """Writes what is known when a run starts, or adds it under `continued` when it starts again.

    Raises:
        ConfigError: a model directory holds other files than when the run began.
    """
    if not file.is_file():
        update_provenance(file, **facts)
        return
    before = json.loads(file.read_text())
    problems = [
        f"{role}.directory {facts[role]['directory']} holds {facts[role]['hash']}, but the run was started "
        f"with {before[role]['hash']}; give it the model that it began with"
        for role in MODEL_ROLES
        if role in facts and role in before and facts[role]["hash"] != before[role]["hash"]
    ]
    if problems:
        raise ConfigError(problems)
    again = {name: facts[name] for name in CONTINUATION}
    update_provenance(file, continued=[*before.get("continued", []), again])


def update_provenance(file: Path, **facts: object) -> None:
    """Adds facts that became known during the run."""
    known = json.loads(file.read_text()) if file.is_file() else {}
    write_whole(file, json.dumps(without_secrets({**known, **facts}), indent=1) + "\n")


def hash_directory(directory: Path) -> str:
    """First 16 hex digits of the SHA-256 over all file names and bytes of a model directory."""
    digest = hashlib.sha256()
    for file in sorted(
        path for path in directory.rglob("*") if path.is_file() and "__pycache__" not in path.parts
    ):
        digest.update(str(file.relative_to(directory)).encode())
        with file.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()[:16]


def code_version() -> dict[str, str]:
    """The commit, and a hash of the source files as they are: it tells changes that were not committed."""
    package = Path(__file__).resolve().parents[1]
    digest = hashlib.sha256()
    for file in sorted(package.rglob("*.py")):
        digest.update(str(file.relative_to(package)).encode())
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return {"commit": _commit(), "sources": digest.hexdigest()[:16]}


def _commit() -> str:
    root = Path(__file__).resolve().parents[2]
    try:
        answer = subprocess.run(
            ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=12"],
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return answer.stdout.strip()


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _hardware() -> dict[str, Any]:
    import torch

    gpus = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    return {
        "processor": _processor_name(),
        "cores": os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "gpus": gpus or "none",
        "system": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
    }


def _processor_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or "unknown"
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or "unknown"
