"""A pretraining job: Ray Train workers fed by Ray Data, with its metrics, checkpoints and best result."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import ray.data
import torch
from ray.train import (
    CheckpointConfig,
    DataConfig,
    FailureConfig,
    LoggingConfig,
    RunConfig,
    ScalingConfig,
)
from ray.train.torch import TorchConfig, TorchTrainer
from torch import Tensor

from eva_rl.config.pretraining import TrainingJobSettings
from eva_rl.pretraining.loop_options import AVERAGE_FILE, TRAINING, VALIDATION_LOSS, LoopOptions
from eva_rl.pretraining.metrics_log import MetricsLog, followed

METRICS_FILE = "metrics.jsonl"
OnSteps = Callable[[int, str], None]
CPUS_PER_WORKER = 0.5
"""Reserved, not used up: leaves room for the tasks that read data on a machine with one core per worker."""


def run_train_job(
    train_on_worker: Callable[[dict[str, Any]], None],
    worker_settings: Mapping[str, Any],
    *,
    datasets: Mapping[str, ray.data.Dataset],
    settings: TrainingJobSettings,
    options: LoopOptions,
    job_directory: Path,
    on_steps: OnSteps,
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Runs a job to its end, or continues the one that `job_directory` holds.

    Args:
        train_on_worker: called on every worker; reports through `TrainingLoop`.
        worker_settings: its argument; small and picklable.
        datasets: TRAINING is split over the workers, VALIDATION goes whole to each.
        settings: number of workers, steps.
        options: restarts after failures.
        job_directory: shared by all machines of the cluster; gets checkpoints and metrics.jsonl.
        on_steps: called with the number of new steps and a short note, at every report.

    Returns:
        Averaged weights with the lowest validation loss, and the metrics reported with them.
    """
    job_directory.mkdir(parents=True, exist_ok=True)
    trainer = TorchTrainer(
        train_on_worker,
        train_loop_config=dict(worker_settings),
        datasets=dict(datasets),
        dataset_config=DataConfig(datasets_to_split=[TRAINING]),
        torch_config=TorchConfig(backend="gloo"),
        scaling_config=ScalingConfig(
            num_workers=settings.num_workers, resources_per_worker={"CPU": CPUS_PER_WORKER}
        ),
        run_config=RunConfig(
            name="ray_train",
            storage_path=str(job_directory.resolve()),
            failure_config=FailureConfig(max_failures=options.max_failures),
            checkpoint_config=CheckpointConfig(
                num_to_keep=2, checkpoint_score_attribute=VALIDATION_LOSS, checkpoint_score_order="min"
            ),
            logging_config=LoggingConfig(log_level="WARNING"),
            callbacks=[MetricsLog(job_directory.resolve() / METRICS_FILE)],
        ),
    )
    step = 0

    def show(metrics: dict[str, Any]) -> None:
        nonlocal step
        on_steps(
            metrics["step"] - step, f"loss {metrics['loss']:.4f}, held out {metrics[VALIDATION_LOSS]:.4f}"
        )
        step = metrics["step"]

    with followed(job_directory / METRICS_FILE, show):
        result = trainer.fit()
    checkpoint, metrics = min(result.best_checkpoints or [], key=lambda pair: pair[1][VALIDATION_LOSS])
    with checkpoint.as_directory() as folder:
        return torch.load(Path(folder) / AVERAGE_FILE, weights_only=True), metrics
