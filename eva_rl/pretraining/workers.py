"""Entry points of Ray Train workers.

Ray Train's controller imports this module as well and trains nothing. So the networks are imported inside:
that spares it ten seconds and some hundred megabytes.
"""

import logging
from collections.abc import Mapping
from typing import Any

from eva_rl.data.ray_pipeline import silence_ray_data


def train_world_model_on_worker(config: Mapping[str, Any]) -> None:
    """Trains a world model; see `eva_rl.pretraining.world_model_trainee.train_on_worker`."""
    from eva_rl.pretraining.world_model_trainee import train_on_worker

    _silence_ray()
    train_on_worker(**config)


def train_idm_on_worker(config: Mapping[str, Any]) -> None:
    """Trains an inverse dynamics model; see `eva_rl.pretraining.idm_trainee.train_on_worker`."""
    from eva_rl.pretraining.idm_trainee import train_on_worker

    _silence_ray()
    train_on_worker(**config)


def _silence_ray() -> None:
    silence_ray_data()
    # Ray Train sets both levels while it starts a worker; one of its loggers hangs below the root directly.
    for name in ("ray.train", None):
        logging.getLogger(name).setLevel(logging.WARNING)
