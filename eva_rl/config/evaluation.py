"""Held-out evaluation."""

from pydantic import Field

from eva_rl.config.placement import PlacedSection


class EvaluationSettings(PlacedSection):
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
    protocol: str | None = Field(
        default=None,
        description="Published protocol in RoboTwin, eva-paper or robotwin-2.0: sets the number of scenes "
        "per task and their first seed. Default: the settings above.",
    )
    instruction_split: str = Field(
        default="seen", pattern="^(seen|unseen)$", description="Instruction templates used."
    )
    held_out_share: float = Field(
        default=0.1,
        gt=0,
        lt=1,
        description="Share of every task's recorded episodes that is never trained on, with "
        "robot.simulator = none; at least one per task.",
    )
    execute_frames: int | None = Field(
        default=None,
        ge=1,
        description="Frames of each clip that are executed before the scene is observed again and the next "
        "clip is imagined from there. Default: the whole clip.",
    )
    episode_frames: int | None = Field(
        default=None,
        ge=2,
        description="Frames executed at most. Default: one clip in the embedded simulator, the task's own "
        "limit in RoboTwin.",
    )
    best_of: int = Field(
        default=1,
        ge=1,
        le=64,
        description="Also execute the best of 1, 2, 4 ... clips of the base policy, ranked by reward, from "
        "this many clips per condition: what sampling alone buys, and at which cost. 1 leaves it out.",
    )
    conditions_per_call: int = Field(
        default=25,
        ge=1,
        description="Conditions that are generated and decoded at once, at most; RoboTwin takes them one by "
        "one, since each holds a renderer.",
    )
    num_evaluators: int = Field(default=2, ge=1, description="Evaluator actors.")
    num_videos: int = Field(default=6, ge=0, description="Side-by-side videos in the report.")
