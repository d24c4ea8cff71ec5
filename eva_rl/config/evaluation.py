"""Held-out evaluation and what is written about a run."""

from pydantic import Field

from eva_rl.config.section import Section


class EvaluationSettings(Section):
    """Evaluation by execution in the simulator, before and after alignment."""

    num_conditions: int = Field(
        default=200,
        ge=1,
        description="Held-out conditions, balanced over the tasks, the same before and after.",
    )
    num_ladder_conditions: int = Field(
        default=60,
        ge=0,
        description="Held-out conditions for the rungs below the world model; 0 leaves them out.",
    )
    first_scene_seed: int = Field(
        default=1_000_000, ge=0, description="First held-out scene seed; must not meet the recorded ones."
    )
    instruction_split: str = Field(
        default="seen", pattern="^(seen|unseen)$", description="Instruction templates used."
    )
    conditions_per_call: int = Field(
        default=25, ge=1, description="Conditions that are generated and decoded at once."
    )
    num_evaluators: int = Field(default=2, ge=1, description="Evaluator actors.")
    num_cpus: float = Field(default=0.25, gt=0, description="CPUs reserved per evaluator.")
    num_gpus: float = Field(default=0.0, ge=0, description="GPUs reserved per evaluator.")
    num_videos: int = Field(default=6, ge=0, description="Side-by-side videos in the report.")


class MetricsSettings(Section):
    """Where metrics go besides metrics.jsonl."""

    tensorboard: bool = Field(default=True, description="Write TensorBoard event files to <run>/tensorboard.")
