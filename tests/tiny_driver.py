"""The align stage on tiny models in a process of its own, so that it can be killed.

python -m tests.tiny_driver RAY_ADDRESS INPUTS RUN_DIRECTORY

INPUTS is a pickled (settings, models, conditions) that the test wrote. The same command starts a run and
continues it.
"""

import pickle
import sys
from pathlib import Path

import ray

from tests.tiny_run import running_roles, train


def main(address, inputs, directory):
    settings, models, conditions = pickle.loads(Path(inputs).read_bytes())
    ray.init(address=address, logging_level="warning")
    with running_roles(settings, models) as roles:
        train(settings, roles, conditions, Path(directory), resume=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
