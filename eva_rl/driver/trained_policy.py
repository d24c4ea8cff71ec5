"""The adapter that an evaluation by itself loads: the one that a run deployed, or one from elsewhere."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
import yaml

from eva_rl import pretrained
from eva_rl.actors.learner_state import ADAPTER_DIRECTORY
from eva_rl.actors.policy import open_policy
from eva_rl.checkpoints.folder import Folder
from eva_rl.config.align import AlignSettings
from eva_rl.config.evaluate import EvaluateSettings
from eva_rl.config.models import AdapterSettings
from eva_rl.config.section import ConfigError
from eva_rl.driver.run_directory import RunDirectory
from eva_rl.driver.run_state import newest_checkpoint
from eva_rl.driver.saving import store_of_run
from eva_rl.records.adapter import AdapterWeights
from eva_rl.world_model.adapter_files import read_adapter_files
from eva_rl.world_model.adapter_io import read_adapter

COMPARED = ("run", "video", "robot", "world_model", "idm", "sampling", "reward")
NOT_COMPARED = ("run.name", "run.directory", "run.resume")


@dataclass(frozen=True, kw_only=True)
class TrainedPolicy:
    """An adapter in files, and what is known about it.

    Example:
        TrainedPolicy(adapter=AdapterSettings(directory=Path("runs/embedded/adapter"), rank=16),
                      training_step=60, penalty_scale=900.0, differences=())

    Attributes:
        adapter: where it is, with the sizes that it was made with.
        training_step: number of training steps that made it; 0 if it comes from elsewhere.
        penalty_scale: calibrated by its run; None if it comes from elsewhere.
        differences: settings of its run that are others now, one sentence each.
    """

    adapter: AdapterSettings
    training_step: int = 0
    penalty_scale: float | None = None
    differences: tuple[str, ...] = ()


def find_policy(settings: EvaluateSettings) -> TrainedPolicy | None:
    """Looks for the policy that the settings name; None if they name none.

    Of a run it is the adapter that the run's own final evaluation used, which is the moving average where
    there is one: `adapter/` of a finished run, or of the newest checkpoint of an unfinished one.

    Raises:
        ConfigError: there is none.
        CheckpointError: the run has neither finished nor written a checkpoint, or a file was altered.
    """
    if settings.policy.run_directory is not None:
        return _of_run(RunDirectory(settings.policy.run_directory), settings.as_run())
    if settings.adapter.directory is None:
        return None
    directory = settings.adapter.directory.absolute()
    try:
        found = next(iter(read_adapter_files(directory).values()))
    except (FileNotFoundError, ValueError) as error:
        raise ConfigError([str(error)]) from None
    sizes = {"rank": found.rank, "alpha": found.alpha, "directory": directory}
    if found.target_modules:
        sizes["target_modules"] = tuple(found.target_modules)
    return TrainedPolicy(adapter=settings.adapter.model_copy(update=sizes))


def load_policy(settings: AlignSettings, policy: TrainedPolicy) -> AdapterWeights:
    """Reads the adapter through the network that it belongs to, in a Ray task of its own.

    Args:
        settings: of the evaluation, with the policy's sizes.
        policy: from `find_policy`.

    Raises:
        ConfigError: the adapter does not fit the world model.
    """
    wanted = settings.evaluation
    world_model = (settings.world_model.directory or pretrained.WORLD_MODEL).resolve()
    task: Any = ray.remote(num_cpus=wanted.num_cpus, num_gpus=wanted.num_gpus)(_read)
    try:
        return ray.get(task.remote(settings, str(world_model), policy.training_step))
    except (FileNotFoundError, ValueError) as error:
        raise ConfigError([str(getattr(error, "cause", error))]) from None


def _read(settings: AlignSettings, world_model: str, training_step: int) -> AdapterWeights:
    return read_adapter(open_policy(settings, world_model).transformer, training_step)


def _of_run(trained: RunDirectory, now: AlignSettings) -> TrainedPolicy:
    if not trained.settings.is_file():
        raise ConfigError(
            [f"policy.run_directory {trained.path} is no run directory: it has no {trained.settings.name}"]
        )
    then = yaml.safe_load(trained.settings.read_text())
    directory, training_step = trained.adapter, then["schedule"]["num_training_steps"]
    if not directory.is_dir():
        checkpoint, saved = newest_checkpoint(store_of_run(trained))
        directory, training_step = _local_adapter(checkpoint, trained), saved["training_step"]
    adapter = AdapterSettings.model_validate(then["adapter"] | {"directory": directory})
    return TrainedPolicy(
        adapter=adapter,
        training_step=training_step,
        penalty_scale=json.loads(trained.provenance.read_text())["penalty_scale"],
        differences=_differences(then, now),
    )


def _local_adapter(checkpoint: Folder, trained: RunDirectory) -> Path:
    """The checkpoint's adapter as files of this machine; from an object store it is fetched."""
    if checkpoint.is_local:
        return Path(checkpoint.path) / ADAPTER_DIRECTORY
    fetched = trained.path / f"fetched_{Path(checkpoint.path).name}"
    for name in checkpoint.names():
        if name.startswith(f"{ADAPTER_DIRECTORY}/"):
            Folder.local(fetched).write(name, checkpoint.read(name))
    return fetched / ADAPTER_DIRECTORY


def _differences(then: dict[str, Any], now: AlignSettings) -> tuple[str, ...]:
    """What would make the outcomes incomparable with those in the run's report."""
    values = now.model_dump(mode="json")
    return tuple(
        f"{section}.{name} is {value!r}, in the policy's run it was {then[section].get(name)!r}"
        for section in COMPARED
        for name, value in values[section].items()
        if f"{section}.{name}" not in NOT_COMPARED and then[section].get(name) != value
    )
