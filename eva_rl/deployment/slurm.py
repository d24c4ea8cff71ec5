"""The Slurm script: one heterogeneous job, a component for the head and one per role."""

import json
from importlib import resources

import jinja2

from eva_rl.deployment.command import run_command
from eva_rl.deployment.demand import labels_of, machines_needed
from eva_rl.deployment.loading import Deployment

TEMPLATE = "slurm.sh.j2"


def slurm_script(deployment: Deployment) -> str:
    """The script for `sbatch`. Slurm gives all machines at once, so every actor's machine is asked for."""
    settings = deployment.settings
    needed = {"head": 1} | machines_needed(settings, deployment.run)
    template = jinja2.Environment(
        undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    ).from_string(resources.files("eva_rl.deployment").joinpath(TEMPLATE).read_text())
    return template.render(
        source=deployment.source,
        name=settings.job.name,
        slurm=settings.slurm,
        components=[(name, getattr(settings.groups, name), number) for name, number in needed.items()],
        labels=lambda name, machine: ",".join(
            f"{key}={text}" for key, text in labels_of(name, machine).items()
        ),
        resources=lambda machine: json.dumps(machine.resources),
        environment=deployment.environment,
        runs=settings.volumes.runs.mount,
        command=run_command(deployment),
    )
