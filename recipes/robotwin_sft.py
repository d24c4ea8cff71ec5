"""Train the video world model on recorded clips, before any reinforcement learning.

python recipes/robotwin_sft.py --data.directory data/embedded --training.directory models/world_model
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from training_job import run_training

from eva_rl.config.command_line import settings_from_command_line
from eva_rl.config.pretraining import SftSettings

PROGRAM = "python recipes/robotwin_sft.py"
PURPOSE = (
    "Trains the video world model: it learns to imagine how the scripted expert solves a task, from the "
    "first frame and the instruction. Fits a codec, encodes all clips once, then trains by flow matching. "
    "Ends with a diffusers pipeline directory and its card.json."
)
DEFAULT_CONFIG = Path(__file__).parent / "configs" / "sft.yaml"


def main(arguments: Sequence[str]) -> None:
    """Reads the settings and trains."""
    settings = settings_from_command_line(
        SftSettings, arguments, program=PROGRAM, purpose=PURPOSE, default_config=DEFAULT_CONFIG
    )
    run(settings)


def run(settings: SftSettings) -> None:
    """Trains, showing progress."""
    from eva_rl.driver.ray_session import prepare_environment

    prepare_environment(settings.cluster)
    from eva_rl.pretraining.world_model_training import needs_episodes, train_world_model

    run_training(settings, train_world_model, program=PROGRAM, needs_episodes=needs_episodes)


if __name__ == "__main__":
    main(sys.argv[1:])
