"""A Ray to run on: the given cluster, or a local one that listens on loopback only."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from eva_rl.config.run import ClusterSettings

LOCAL_ENVIRONMENT = {
    # Despite its name, this makes a Linux node listen on 127.0.0.1 instead of every interface.
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "GLOO_SOCKET_IFNAME": "lo",
}
"""Set before Ray starts a local node; never on a cluster that somebody else configured."""

QUIET_ENVIRONMENT = {
    "RAY_DEDUP_LOGS": "1",
    "RAY_TRAIN_V2_ENABLED": "1",
    "RAY_DATA_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_OFFLINE": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "TRANSFORMERS_VERBOSITY": "error",
    # One thread per process unless a role asks for more: several actors on few cores would thrash.
    "OMP_NUM_THREADS": "1",
}
"""Environment of the driver and of every actor."""


@contextmanager
def ray_session(settings: ClusterSettings) -> Iterator[None]:
    """Connects to Ray for the length of the block.

    A cluster is used when `cluster.address` or RAY_ADDRESS names one; otherwise a local Ray is started
    and stopped again at the end.
    """
    for name, value in QUIET_ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    address = settings.address or os.environ.get("RAY_ADDRESS")
    if address is None:
        for name, value in LOCAL_ENVIRONMENT.items():
            os.environ.setdefault(name, value)
        if not Path("/dev/nvidia0").exists():
            os.environ.setdefault("DS_ACCELERATOR", "cpu")
    import ray  # Ray reads these variables when it is imported.

    if address is None:
        ray.init(
            num_cpus=settings.num_cpus or os.cpu_count(),
            object_store_memory=settings.object_store_mb * 2**20,
            include_dashboard=False,
            log_to_driver=True,
            logging_level=logging.WARNING,
        )
    else:
        ray.init(
            address=address,
            runtime_env={"env_vars": dict(QUIET_ENVIRONMENT)},
            logging_level=logging.WARNING,
        )
    try:
        yield
    finally:
        ray.shutdown()
