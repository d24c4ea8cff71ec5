"""An exported adapter with all that is needed to hold it against the base policy on held-out scenes."""

from dataclasses import dataclass
from pathlib import Path

from benchmarks.arms import Models
from eva_rl import pretrained
from eva_rl.actors.policy import open_policy
from eva_rl.config.align import AlignSettings
from eva_rl.config.evaluate import EvaluateSettings
from eva_rl.driver.trained_policy import find_policy
from eva_rl.records.adapter import AdapterWeights
from eva_rl.simulators.table import tasks_of
from eva_rl.world_model.adapter_io import read_adapter

REWARD_PRESET = "limits-only"


@dataclass(frozen=True, kw_only=True)
class AlignedPolicy:
    """An adapter, the shipped models that it belongs to, and the settings of its evaluation.

    Attributes:
        settings: say which scenes.
        adapter: weights of the policy.
        models: directories of world model, reader and judge.
    """

    settings: AlignSettings
    adapter: AdapterWeights
    models: Models


def open_aligned(directory: Path, *, num_conditions: int, first_scene_seed: int) -> AlignedPolicy:
    """Opens an adapter of the shipped world model.

    Args:
        directory: as a run exported it.
        num_conditions: held-out scenes, the tasks in turn.
        first_scene_seed: of these scenes.

    Raises:
        ConfigError: there is no adapter, or it fits no shipped model.
    """
    wanted = EvaluateSettings.model_validate(
        {
            "adapter": {"directory": directory},
            "evaluation": {"num_conditions": num_conditions, "first_scene_seed": first_scene_seed},
            "reward": {"preset": REWARD_PRESET},
        }
    )
    policy = find_policy(wanted)
    assert policy is not None  # a directory was given
    settings = wanted.as_run().model_copy(update={"adapter": policy.adapter})
    robot = settings.robot.model_copy(update={"tasks": tasks_of(settings.robot)})
    settings = settings.model_copy(update={"robot": robot})
    models = Models(
        world_model=str(pretrained.WORLD_MODEL), idm=str(pretrained.IDM), judge=str(pretrained.JUDGE)
    )
    transformer = open_policy(settings, models.world_model).transformer
    return AlignedPolicy(
        settings=settings, adapter=read_adapter(transformer, policy.training_step), models=models
    )
