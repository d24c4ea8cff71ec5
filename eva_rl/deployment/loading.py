"""A deployment file and the run it names, loaded and checked against each other."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from eva_rl.config.align import AlignSettings
from eva_rl.config.deployment import DeploymentSettings
from eva_rl.config.loading import load_settings
from eva_rl.config.rules import ALIGN_RULES
from eva_rl.config.section import ConfigError
from eva_rl.deployment.demand import agreement_problems

KNOWN_RUNTIME_ENV = ("env_vars", "excludes")


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """Everything that rendering reads.

    Attributes:
        settings: the machines.
        run: resolved settings of the run.
        environment: variables of every process, from the runtime environment.
        source: the settings file, as the rendered files name it.
    """

    settings: DeploymentSettings
    run: AlignSettings
    environment: dict[str, str]
    source: str


def load_deployment(file: Path) -> Deployment:
    """Reads a deployment file; the paths in it start in the current folder, the repository.

    Raises:
        ConfigError: with every problem of the file, of the run, and of the two together.
    """
    settings = load_settings(DeploymentSettings, file=file, overrides=())
    run = load_settings(
        AlignSettings, file=settings.job.config, overrides=settings.job.overrides, rules=lambda: ALIGN_RULES
    )
    environment, problems = _environment(settings.job.runtime_env)
    problems += agreement_problems(settings, run)
    if problems:
        raise ConfigError(problems)
    return Deployment(settings=settings, run=run, environment=environment, source=file.as_posix())


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
