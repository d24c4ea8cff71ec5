"""Where a run lives and what makes it repeatable."""

import os
from pathlib import Path
from typing import Literal

from pydantic import Field

from eva_rl.config.section import Section


class RunSettings(Section):
    """The run itself."""

    name: str = Field(
        default="align", min_length=1, description="Shown in the report and in the directory's name."
    )
    directory: Path | None = Field(
        default=None, description="Where everything is written. Default: runs/<name>-<date>-<time>."
    )
    seed: int = Field(default=0, ge=0, description="Every random draw of the run derives from it.")
    resume: bool | Literal["auto"] = Field(
        default=False,
        description="true: continue the run in run.directory from its newest checkpoint. auto: start where "
        "the directory is empty or missing, continue where it holds a run with these settings, so that one "
        "command serves every restart. false: refuse a directory that is not empty.",
    )


class NodeTypeSettings(Section):
    """Machines of one kind that an autoscaler may add."""

    resources: dict[str, float] = Field(description="Resources of one machine, as Ray names them.")
    labels: dict[str, str] = Field(default_factory=dict, description="Labels of these machines.")
    max_count: int = Field(ge=1, description="Machines of this kind at most.")


class ClusterSettings(Section):
    """The Ray cluster that the run uses."""

    address: str | None = Field(
        default=None,
        description="Ray address ('auto', 'host:port'), or 'local' for a Ray of the run's own that listens "
        "on loopback only, which --local says too. Default: RAY_ADDRESS if set (as under `ray job submit`), "
        "otherwise local.",
    )
    num_cpus: int | None = Field(default=None, ge=1, description="CPUs of a local Ray; default: all cores.")
    object_store_mb: int = Field(default=512, ge=80, description="Object store of a local Ray, in MB.")
    placement_timeout_s: float = Field(
        default=600.0, gt=0, description="How long to wait for machines before giving up, in seconds."
    )
    placement: Literal["disaggregated", "colocated"] = Field(
        default="disaggregated",
        description="Every role on machines of its own, or all of them side by side: each learner rank "
        "shares one bundle, and so one GPU, with its generators and scorers; num_gpus are fractions.",
    )
    idle_roles_sleep: bool = Field(
        default=False,
        description="Colocated roles take turns on their GPU: whoever does not work keeps its weights in CPU "
        "memory. Not run on a GPU yet.",
    )
    machines_may_join: bool | None = Field(
        default=None,
        description="Whether to wait for what the registered machines cannot hold. Default: not on a local "
        "Ray; on any other, unless its autoscaler's machines are known and too small.",
    )
    node_types: tuple[NodeTypeSettings, ...] = Field(
        default=(),
        description="What the autoscaler may add, [{resources: {CPU: 8, GPU: 1}, max_count: 4}], so that a "
        "run which can never fit is refused at once. Default: what Ray reports, if it does.",
    )

    autoscaling: bool = Field(
        default=False,
        description="Choose the number of generators and scorers between min_count and max_count by their "
        "load, and ask the cluster's autoscaler for the machines. Default: count, as machines appear.",
    )
    grow_after_s: float = Field(
        default=30.0, ge=0, description="With autoscaling, how long a number stays before it may grow."
    )
    shrink_after_s: float = Field(
        default=300.0,
        ge=0,
        description="With autoscaling, how long a number stays before it may shrink by one.",
    )

    @property
    def joined_address(self) -> str | None:
        """The cluster that the run joins; None where it starts a local Ray."""
        address = self.address or os.environ.get("RAY_ADDRESS") or "local"
        return None if address == "local" else address
