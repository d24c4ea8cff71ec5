"""Every place that a run's metrics go to, as the settings say."""

from collections.abc import Callable

from eva_rl.config.align import AlignSettings
from eva_rl.driver.prometheus import PrometheusSink
from eva_rl.driver.run_directory import RunDirectory
from eva_rl.driver.settings_change import settings_as_data
from eva_rl.metrics.jsonl import JsonlSink
from eva_rl.metrics.mlflow_sink import MlflowSink
from eva_rl.metrics.sinks import MetricSink, MetricSinks
from eva_rl.metrics.tensorboard import TensorboardSink
from eva_rl.metrics.wandb_sink import WandbSink

LOCAL = "local"
"""Value of metrics.mlflow that keeps the files in the run directory."""


def open_sinks(
    settings: AlignSettings,
    directory: RunDirectory,
    *,
    last_kept_step: int | None,
    tell: Callable[[str], None],
) -> MetricSinks:
    """Opens metrics.jsonl and whatever else the settings name.

    Args:
        settings: of the run.
        directory: of the run.
        last_kept_step: newest training step whose row stays when a run goes on; None keeps nothing.
        tell: receives a line when one of the others has failed and is left out.
    """
    wanted, name = settings.metrics, directory.path.name
    resolved = settings_as_data(settings)
    sinks: list[MetricSink] = []
    if wanted.tensorboard:
        sinks.append(TensorboardSink(directory.tensorboard, last_kept_step=last_kept_step))
    if wanted.prometheus:
        sinks.append(PrometheusSink(name))
    if wanted.wandb != "off":
        sinks.append(
            WandbSink(directory.path, project=wanted.project, run=name, mode=wanted.wandb, settings=resolved)
        )
    if wanted.mlflow is not None:
        uri = (directory.path / "mlflow").resolve().as_uri() if wanted.mlflow == LOCAL else wanted.mlflow
        parameters = {
            f"{section}.{key}": str(value)
            for section, values in resolved.items()
            for key, value in values.items()
        }
        sinks.append(MlflowSink(uri, experiment=wanted.project, run=name, parameters=parameters))
    rows = JsonlSink(directory.metrics, last_kept_step=last_kept_step)
    return MetricSinks([rows], optional=sinks, tell=tell)
