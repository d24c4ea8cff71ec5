"""What a run survives, how often, and how long it waits before it calls something lost."""

from pydantic import Field

from eva_rl.config.section import Section


class FaultSettings(Section):
    """Deadlines and budgets of the recovery; nothing here changes what is trained."""

    generation_deadline_s: float = Field(
        default=1800.0,
        gt=0,
        description="A generator that works longer on one call counts as hung and is replaced.",
    )
    scoring_deadline_s: float = Field(
        default=600.0, gt=0, description="A scorer that works longer on one call counts as hung."
    )
    learning_deadline_s: float = Field(
        default=3600.0,
        gt=0,
        description="A learner that works longer on one call counts as lost: training goes on from the "
        "newest checkpoint.",
    )
    evaluation_deadline_s: float = Field(
        default=3600.0, gt=0, description="An evaluator that works longer on one call counts as hung."
    )
    max_attempts: int = Field(
        default=3, ge=1, description="How often one call may be begun before its failure ends the run."
    )
    max_replacements: int = Field(
        default=10, ge=0, description="Lost generators, and lost scorers, that are replaced in one run."
    )
    max_learner_restarts: int = Field(
        default=3, ge=0, description="Lost learners that are restarted from the newest checkpoint in one run."
    )
    max_skipped_steps: int = Field(
        default=5,
        ge=0,
        description="Training steps of a run whose gradient may be not finite: such a step changes nothing "
        "and is counted; one more ends the run.",
    )
    stall_timeout_s: float = Field(
        default=900.0,
        gt=0,
        description="A run in which nothing is finished for so long ends with a list of what waits for what.",
    )
    tell_every_s: float = Field(
        default=30.0, gt=0, description="Seconds between lines that say what a waiting run waits for."
    )
    grace_s: float = Field(
        default=25.0,
        gt=0,
        description="After a notice (SIGTERM, a draining machine) a checkpoint is written within so long.",
    )
