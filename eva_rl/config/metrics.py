"""Where a run's numbers go besides metrics.jsonl."""

from typing import Literal

from pydantic import Field

from eva_rl.config.section import Section


class MetricsSettings(Section):
    """Where metrics go besides metrics.jsonl."""

    tensorboard: bool = Field(default=True, description="Write TensorBoard event files to <run>/tensorboard.")
    prometheus: bool = Field(
        default=True, description="Export every metric through Ray's metrics port (cluster/README.md)."
    )
    trace: bool = Field(
        default=True, description="Write the timeline of all actors to <run>/trace.json, for ui.perfetto.dev."
    )
    wandb: Literal["off", "offline", "online"] = Field(
        default="off",
        description="Weights & Biases: offline writes files to <run>/wandb for `wandb sync`. Needs the extra "
        "tracking.",
    )
    mlflow: str | None = Field(
        default=None,
        min_length=1,
        description="MLflow: a server's address, or local for files in <run>/mlflow. Needs the extra "
        "tracking. Default: none.",
    )
    project: str = Field(
        default="eva_rl", min_length=1, description="Project in Weights & Biases, experiment in MLflow."
    )
