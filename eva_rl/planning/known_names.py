"""Whether settings name nothing that would have to be looked up in tables which bring torch."""

from pathlib import Path

from eva_rl import pretrained
from eva_rl.config.align import AlignSettings
from eva_rl.config.presets import PRESETS
from eva_rl.config.sampling import SamplingSettings
from eva_rl.config.video import EMBEDDED, EMBEDDED_TASKS

REWARD_PRESETS = ("eva-paper", "limits-first", "limits-only", "limits-and-demonstration")
"""Rows of the reward's own table; a test holds the two together."""


def only_known_names(settings: AlignSettings) -> bool:
    """True where no rule of a run can break that needs more than the settings and a look at the disk.

    Names of kernels, windows, losses and weights are known if the project's defaults or presets use them.
    False says nothing about the settings: then the tables are asked.
    """
    samplings = [SamplingSettings(), *(row.sampling for row in PRESETS.values())]
    algorithms = [AlignSettings().algorithm, *(row.algorithm for row in PRESETS.values())]
    sampling, algorithm = settings.sampling, settings.algorithm
    return (
        sampling.kernel in {row.kernel for row in samplings} - {"ode"}
        and sampling.window in {row.window for row in samplings}
        and algorithm.kl_form in {row.kl_form for row in algorithms}
        and algorithm.step_weight in {row.step_weight for row in algorithms}
        and algorithm.awm_weight in {row.awm_weight for row in algorithms}
        and settings.reward.preset in REWARD_PRESETS
        and _is_the_embedded_robot(settings)
        and _directories_are_there(settings)
    )


def _is_the_embedded_robot(settings: AlignSettings) -> bool:
    robot = settings.robot
    return (
        robot.embodiment == robot.simulator == EMBEDDED
        and robot.limits_from is None
        and set(robot.tasks) <= set(EMBEDDED_TASKS)
        and not settings.reward.term_weights
        and settings.reward.judge is None
        and settings.evaluation.execute_frames is None
    )


def _directories_are_there(settings: AlignSettings) -> bool:
    world_model, idm = settings.world_model.directory or pretrained.WORLD_MODEL, settings.idm.directory
    return (
        (Path(world_model) / "model_index.json").is_file()
        and (Path(idm or pretrained.IDM) / "config.json").is_file()
        and settings.data.directory is None
        and (settings.run.directory is None or not settings.run.directory.exists())
    )
