"""A deployment file and the run it names, loaded and checked against each other."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from eva_rl.config.align import AlignSettings
from eva_rl.config.deployment import DeploymentSettings
from eva_rl.config.loading import load_settings
from eva_rl.config.rules import ALIGN_RULES
from eva_rl.config.section import ConfigError
from eva_rl.deployment.demand import ROLE_LABEL, agreement_problems, demands_of
from eva_rl.trust.secrets import without_secrets

KNOWN_RUNTIME_ENV = ("env_vars", "excludes")


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """Everything that rendering reads.

    Attributes:
        settings: the machines.
        run: resolved settings of the run.
        overrides: settings beside those of the recipe's file, as words of its command line.
        environment: variables of every process, from the runtime environment.
        source: the settings file, as the rendered files name it.
    """

    settings: DeploymentSettings
    run: AlignSettings
    overrides: tuple[str, ...]
    environment: dict[str, str]
    source: str


def load_deployment(file: Path) -> Deployment:
    """Reads a deployment file; the paths in it start in the current folder, the repository.

    Raises:
        ConfigError: with every problem of the file, of the run, and of the two together.
    """
    settings = load_settings(DeploymentSettings, file=file, overrides=())
    run = _run(settings, settings.job.overrides)
    words = (*settings.job.overrides, *_role_labels(run))
    run = _run(settings, words)
    environment, problems = _environment(settings.job.runtime_env)
    problems += _credentials({"job.overrides": list(settings.job.overrides), "job.runtime_env": environment})
    problems += agreement_problems(settings, run)
    if problems:
        raise ConfigError(problems)
    return Deployment(
        settings=settings, run=run, overrides=words, environment=environment, source=file.as_posix()
    )


def _run(settings: DeploymentSettings, words: Sequence[str]) -> AlignSettings:
    return load_settings(AlignSettings, file=settings.job.config, overrides=words, rules=lambda: ALIGN_RULES)


def _role_labels(run: AlignSettings) -> list[str]:
    """Settings that send every role to the machines that were bought for it."""
    return [
        f"--{demand.section}.labels={json.dumps({**demand.each.labels, ROLE_LABEL: name})}"
        for name, demand in demands_of(run).items()
    ]


def _environment(file: Path) -> tuple[dict[str, str], list[str]]:
    try:
        content: Any = yaml.safe_load(file.read_text())
    except (OSError, yaml.YAMLError) as error:
        return {}, [f"job.runtime_env {file} cannot be read: {error}"]
    if not isinstance(content, dict) or not set(content) <= set(KNOWN_RUNTIME_ENV):
        return {}, [
            f"job.runtime_env {file} must hold {' and '.join(KNOWN_RUNTIME_ENV)} alone: packages are in the "
            "images, and the checkout is the working directory"
        ]
    return {name: str(value) for name, value in content.get("env_vars", {}).items()}, []


def _credentials(written: Mapping[str, Any]) -> list[str]:
    """What would carry a credential into a manifest, where everybody can read it."""
    return [
        f"{place} holds a credential, and manifests are no place for one; let the machines have an identity "
        "that may read and write (an IAM role, a service account), or mount a Secret of yours"
        for place, content in written.items()
        if without_secrets(content) != content
    ]
