"""A Ray to run on: the given cluster, or a local one that listens on loopback only."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from eva_rl.config.run import ClusterSettings
from eva_rl.driver.ray_token import own_token

LOCAL_ENVIRONMENT = {
    # Despite its name, this makes a Linux node listen on 127.0.0.1 instead of every interface.
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "GLOO_SOCKET_IFNAME": "lo",
    # Ray starts workers 15 levels nicer than their driver: anything else on the machine starves them.
    "RAY_worker_niceness": "0",
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
    # A submitted job may bring an environment of its own; Ray refuses to start where both name a variable.
    "RAY_OVERRIDE_JOB_RUNTIME_ENV": "1",
}
"""Environment of the driver and of every actor."""


def prepare_environment(settings: ClusterSettings) -> None:
    """Sets the environment that Ray and the model libraries read when they are imported.

    Values that are already set stay.
    """
    wanted = dict(QUIET_ENVIRONMENT)
    if settings.joined_address is None:
        wanted |= LOCAL_ENVIRONMENT
        if not Path("/dev/nvidia0").exists():
            wanted["DS_ACCELERATOR"] = "cpu"
    for name, value in wanted.items():
        os.environ.setdefault(name, value)


@contextmanager
def ray_session(settings: ClusterSettings) -> Iterator[None]:
    """Connects to Ray for the length of the block.

    A cluster is used when `cluster.address` or RAY_ADDRESS names one; otherwise, and with `cluster.address:
    local` in any case, a local Ray is started and stopped again at the end.
    """
    prepare_environment(settings)
    import ray  # reads the environment when it is imported

    # Ray 2.60 warns at every start that its token authentication is on, which is what is wanted.
    logging.getLogger("ray._private.authentication.authentication_token_setup").setLevel(logging.ERROR)
    address = settings.joined_address
    with nullcontext() if address is not None else own_token():
        if address is None:
            _check_loopback(ray.util.get_node_ip_address())
            ray.init(
                address="local",  # without it, Ray joins any cluster that was started on this machine
                num_cpus=settings.num_cpus or os.cpu_count(),
                object_store_memory=settings.object_store_mb * 2**20,
                include_dashboard=False,
                logging_level=logging.WARNING,
            )
        else:
            ray.init(
                address=address,
                runtime_env={"env_vars": {name: os.environ[name] for name in QUIET_ENVIRONMENT}},
                logging_level=logging.WARNING,
            )
        try:
            yield
        finally:
            ray.shutdown()


def _check_loopback(address: str) -> None:
    """Ray decides when it is imported where it will listen."""
    if address not in ("127.0.0.1", "::1"):
        raise RuntimeError(
            f"a local Ray would listen on {address}, not on loopback: `ray` was imported before "
            "ray_session or prepare_environment; call one of them first"
        )
