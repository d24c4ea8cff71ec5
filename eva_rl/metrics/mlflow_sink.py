"""Metrics in MLflow; needs the extra `tracking`."""

import math
import os
import time
from collections.abc import Mapping


class MlflowSink:
    """Logs every row under its training step.

    Args:
        uri: tracking server or `file:` directory.
        experiment: made if missing.
        run: name of the run.
        parameters: what is shown beside the run; MLflow keeps them as text.
    """

    def __init__(self, uri: str, *, experiment: str, run: str, parameters: Mapping[str, str]) -> None:
        if uri.startswith("file:"):
            # MLflow 3 refuses its own file format, which needs no server, unless it is told.
            os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")
        from mlflow.entities import Metric, Param  # pyright: ignore[reportMissingImports]  optional, slow
        from mlflow.tracking import MlflowClient  # pyright: ignore[reportMissingImports]

        self._metric = Metric
        self._client = MlflowClient(tracking_uri=uri)
        known = self._client.get_experiment_by_name(experiment)
        identity = known.experiment_id if known else self._client.create_experiment(experiment)
        self._run_id = self._client.create_run(identity, run_name=run).info.run_id
        texts = [Param(name, text[:6000]) for name, text in parameters.items()]
        self._client.log_batch(self._run_id, params=texts)

    def write(self, training_step: int, row: Mapping[str, float]) -> None:
        """Logs one row; values that are not finite have no place in MLflow's files."""
        now_ms = int(time.time() * 1000)
        values = [
            self._metric(name, value, now_ms, training_step)
            for name, value in row.items()
            if math.isfinite(value)
        ]
        self._client.log_batch(self._run_id, metrics=values)

    def close(self) -> None:
        """Marks the run as finished."""
        self._client.set_terminated(self._run_id)
