"""Machines for one run: what `eva-rl cluster render` turns into KubeRay, `ray up` and Slurm files."""

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from eva_rl.config.section import Section


class JobSettings(Section):
    """Which run the machines are for."""

    name: str = Field(
        pattern="^[a-z]([a-z0-9-]{0,38}[a-z0-9])?$",
        description="Name of job, cluster and run directory: lower case, digits and dashes.",
    )
    config: Path = Field(
        description="Settings of recipes/robotwin_align.py, relative to the repository. Number and resources "
        "of the actors are read from it, so that machines and run cannot disagree."
    )
    overrides: tuple[str, ...] = Field(
        default=(), description="More settings of the run, each one word: --generators.count=16."
    )
    runtime_env: Path = Field(
        default=Path("cluster/runtime_env.yaml"),
        description="Ray runtime environment of every process, relative to the repository.",
    )
    max_retries: int = Field(
        default=2, ge=0, description="New attempts after a lost cluster; each continues the unfinished run."
    )
    keep_finished_s: int = Field(
        default=600, ge=0, description="Seconds that a finished job and its cluster stay for a look."
    )


class VersionSettings(Section):
    """Versions that head, workers and submitter share."""

    ray: str = Field(default="2.60.0", description="Ray in the images; pyproject.toml holds its range.")
    python: str = Field(default="3.11", description="Python in the images: pickles travel between them.")
    kubernetes: str = Field(default="1.31", description="API version that the pods are checked against.")


class ImageSettings(Section):
    """Container images, built from cluster/Dockerfile."""

    cpu: str = Field(description="Image of machines without GPU: target `cpu`.")
    cuda: str = Field(description="Image of machines with GPUs: target `cuda`.")
    pull_policy: Literal["Always", "IfNotPresent", "Never"] = Field(
        default="IfNotPresent", description="When a machine fetches the image."
    )
    root: str = Field(default="/opt/eva_rl", pattern="^/", description="The repository inside the images.")


class MachineSettings(Section):
    """One machine of a group."""

    cpus: int = Field(ge=1, description="CPU cores per machine.")
    memory_gib: int = Field(ge=1, description="Memory per machine, in GiB.")
    object_store_gib: int = Field(
        default=2, ge=1, description="Part of the memory that holds objects in flight (/dev/shm), in GiB."
    )
    gpus: int = Field(default=0, ge=0, description="GPUs per machine.")
    gpu_type: str | None = Field(
        default=None, description="GPU model as Ray and Slurm name it, such as H100. Default: any."
    )
    labels: dict[str, str] = Field(
        default_factory=dict, description="More Ray node labels, which the roles' labels may ask for."
    )
    resources: dict[str, int] = Field(
        default_factory=dict, description="Custom Ray resources per machine, such as {rack_a: 1}."
    )
    node_selector: dict[str, str] = Field(
        default_factory=dict, description="Kubernetes labels of the nodes that may hold the pods."
    )
    vm: dict[str, Any] = Field(
        default_factory=dict, description="Node configuration for the provider of `ray up`, as it names it."
    )
    slurm_partition: str | None = Field(default=None, description="Slurm partition. Default: the site's.")

    @model_validator(mode="after")
    def _store_fits(self) -> "MachineSettings":
        if self.object_store_gib * 2 > self.memory_gib:
            raise ValueError(
                f"object_store_gib must be at most half of memory_gib = {self.memory_gib}, "
                f"got {self.object_store_gib}"
            )
        return self


class GroupSettings(MachineSettings):
    """Machines of one kind that come and go together."""

    min_replicas: int = Field(default=0, ge=0, description="Machines that are always there.")
    max_replicas: int = Field(ge=0, description="Machines that may be there at once.")

    @model_validator(mode="after")
    def _replicas_are_ordered(self) -> "GroupSettings":
        if self.min_replicas > self.max_replicas:
            raise ValueError(
                f"min_replicas must be at most max_replicas = {self.max_replicas}, got {self.min_replicas}"
            )
        return self


class GroupsSettings(Section):
    """The head and one group of machines per role."""

    head: MachineSettings = Field(description="Ray's head: the driver runs here, and no actor.")
    generators: GroupSettings = Field(description="Machines of the generators.")
    scorers: GroupSettings = Field(description="Machines of the scorers.")
    learner: GroupSettings = Field(description="Machines of the learner's DeepSpeed ranks.")
    evaluators: GroupSettings = Field(description="Machines of the evaluators.")
    data: GroupSettings = Field(
        description="CPU machines for what belongs to no role: recording, Ray Data, encoding of conditions."
    )


class VolumeSettings(Section):
    """A persistent volume claim, mounted by every machine."""

    claim: str = Field(min_length=1, description="Name of the PersistentVolumeClaim.")
    mount: str = Field(pattern="^/", description="Where it appears on every machine.")
    size_gib: int = Field(ge=1, description="Size to ask for, in GiB.")
    storage_class: str | None = Field(default=None, description="Storage class. Default: the cluster's.")


class VolumesSettings(Section):
    """Storage that outlives the machines."""

    models: VolumeSettings = Field(description="World models, inverse dynamics models, episodes; read only.")
    runs: VolumeSettings = Field(
        description="Run directories; every machine writes here, so the class must offer ReadWriteMany."
    )


class KubernetesSettings(Section):
    """What belongs to KubeRay alone."""

    idle_timeout_s: int = Field(
        default=300, ge=1, description="Seconds without work after which a machine is given back."
    )
    auth_secret: str | None = Field(
        default=None,
        description="Existing Secret whose key auth_token is Ray's token. Default: the operator makes one.",
    )
    user_id: int = Field(default=1000, ge=1, description="User of every process; the images' user is 1000.")


class VmSettings(Section):
    """What belongs to `ray up` alone."""

    provider: dict[str, Any] = Field(description="Ray's provider section, such as {type: aws, region: ...}.")
    ssh_user: str = Field(default="ubuntu", description="User that Ray logs in as.")
    mount_commands: tuple[str, ...] = Field(
        default=(), description="Shell commands that mount the two volumes on a new machine."
    )


class SlurmSettings(Section):
    """What belongs to Slurm alone."""

    root: str = Field(
        pattern="^/", description="Checkout with its .venv on a file system that all nodes see."
    )
    time_limit: str = Field(
        default="24:00:00", pattern=r"^(\d+-)?\d+:\d\d:\d\d$", description="Longest time of one attempt."
    )


class DeploymentSettings(Section):
    """Everything that `eva-rl cluster render` needs to know."""

    job: JobSettings
    versions: VersionSettings = Field(default_factory=VersionSettings)
    image: ImageSettings
    groups: GroupsSettings
    volumes: VolumesSettings
    kubernetes: KubernetesSettings = Field(default_factory=KubernetesSettings)
    vm: VmSettings
    slurm: SlurmSettings
