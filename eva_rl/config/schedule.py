"""How long an alignment runs, and how far ahead."""

from typing import Literal

from pydantic import Field

from eva_rl.config.section import Section


class ScheduleSettings(Section):
    """How long, and how far ahead."""

    num_training_steps: int = Field(default=60, ge=1, description="Training steps of the run.")
    rollouts_ahead: int = Field(
        default=0,
        ge=0,
        description="Batches in generation beyond the one being learned from; 0 is synchronous. "
        "Batch k is always made by policy max(0, k - rollouts_ahead).",
    )
    ordering: Literal["scheduled", "unordered"] = Field(
        default="scheduled",
        description="scheduled: what is trained depends on the settings alone, never on timing. unordered: "
        "a step takes whatever rollouts are ready first; higher throughput with uneven generators, and NOT "
        "REPRODUCIBLE.",
    )
    max_staleness: int = Field(
        default=2,
        ge=0,
        description="With ordering unordered: age in training steps that no rollout passes before it is "
        "learned from; at least rollouts_ahead.",
    )
    checkpoint_every_steps: int = Field(default=20, ge=1, description="Training steps between checkpoints.")
    checkpoint_directory: str | None = Field(
        default=None,
        description="Directory or URI (s3://, gs://, hdfs://) of the checkpoints; all machines must see it. "
        "Default: checkpoints/ in the run directory.",
    )
    keep_checkpoints: int = Field(default=3, ge=1, description="Newest checkpoints that are kept.")
    keep_best_checkpoints: int = Field(
        default=0, ge=0, description="Checkpoints that are kept beside them, the best by best_metric."
    )
    best_metric: str = Field(
        default="reward/mean", description="Metric of the training step that ends with the checkpoint."
    )
    best_is: Literal["higher", "lower"] = Field(
        default="higher", description="Which end of best_metric is better."
    )
    deadline_s: float | None = Field(
        default=None,
        gt=0,
        description="Seconds after the start of training at which the machines are taken away: every "
        "training step is saved once less is left than the longest step and the longest save took together.",
    )
    max_failed_saves: int = Field(
        default=2,
        ge=0,
        description="Checkpoints in a row that may fail to be written, as on a full disk, before the run "
        "ends.",
    )
    self_test: bool = Field(
        default=True,
        description="Check beside the first training steps what `eva-rl doctor` checks: the policy that "
        "samples is the one that learns, ranks agree, the update is plain AdamW's, the reward points the "
        "right way, joints are read. A failed check ends the run.",
    )

    @property
    def oldest_allowed(self) -> int:
        """Age in training steps up to which the learner accepts rollouts."""
        return self.rollouts_ahead if self.ordering == "scheduled" else self.max_staleness
