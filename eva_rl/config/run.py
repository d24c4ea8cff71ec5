"""Where a run lives and what makes it repeatable."""

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


class ClusterSettings(Section):
    """The Ray cluster that the run uses."""

    address: str | None = Field(
        default=None,
        description="Ray address ('auto', 'host:port'); default: RAY_ADDRESS if set (as under "
        "`ray job submit`), otherwise a local Ray that listens on loopback only.",
    )
    num_cpus: int | None = Field(default=None, ge=1, description="CPUs of a local Ray; default: all cores.")
    object_store_mb: int = Field(default=512, ge=80, description="Object store of a local Ray, in MB.")
    placement_timeout_s: float = Field(
        default=600.0, gt=0, description="How long to wait for machines before giving up, in seconds."
    )
