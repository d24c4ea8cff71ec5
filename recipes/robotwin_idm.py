"""Train an inverse dynamics model: from the frames of a clip, or its latents, to the joint positions in it.

python recipes/robotwin_idm.py --data.directory data/embedded --idm.world_model models/world_model
python recipes/robotwin_idm.py --idm.world_model models/world_model --idm.kind latent
"""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from training_job import run_training

from eva_rl.config.command_line import settings_from_command_line
from eva_rl.config.pretraining import IdmSettings

PROGRAM = "python recipes/robotwin_idm.py"
PURPOSE = (
    "Trains an inverse dynamics model of any kind that reads joint positions from video, on recorded clips "
    "and, so that it also reads imagined ones, on their noisy reconstructions by a world model's codec; a "
    "latent one on the codec's latents alone. Ends with a directory of weights, config.json and card.json."
)
DEFAULT_CONFIG = Path(__file__).parent / "configs" / "idm.yaml"


def main(arguments: Sequence[str]) -> None:
    """Reads the settings and trains."""
    settings = settings_from_command_line(
        IdmSettings,
        arguments,
        program=PROGRAM,
        purpose=PURPOSE,
        default_config=DEFAULT_CONFIG,
        rules=_rules,
    )
    run(settings)


def run(settings: IdmSettings) -> None:
    """Trains, showing progress."""
    from eva_rl.driver.ray_session import prepare_environment

    prepare_environment(settings.cluster)
    from eva_rl.pretraining.idm_training import train_idm

    run_training(settings, train_idm, program=PROGRAM)


def _rules() -> Sequence[Callable[[IdmSettings], str | None]]:
    from eva_rl.pretraining.idm_rules import IDM_RULES

    return IDM_RULES


if __name__ == "__main__":
    main(sys.argv[1:])
