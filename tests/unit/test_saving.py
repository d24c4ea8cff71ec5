"""When a run saves itself, and that a checkpoint which cannot be written costs nothing."""

import os
import subprocess
import sys

import pytest

from eva_rl.checkpoints.manifest import CheckpointError
from eva_rl.config.schedule import ScheduleSettings
from eva_rl.driver.saving import Saving
from tests.unit.booked import FileLearner, adapter_of, scored, state_after, store_in


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def steps_saved(settings, *, num_steps, step_s=1.0):
    """Training steps after which a run saves whose steps take a second each and whose saves take none."""
    clock = Clock()
    saving = Saving(settings, warn=pytest.fail, clock=clock)
    saved = []

    class Recorded:
        training_step = 0

        def save(self, learner, *, metrics):
            saved.append(self.training_step)

    state = Recorded()
    for step in range(num_steps):
        clock.now += step_s
        state.training_step = step + 1
        saving.after_step(state, learner=None, metrics={})
    return saved


def test_a_run_saves_at_its_interval_and_at_its_end():
    settings = ScheduleSettings(num_training_steps=5, checkpoint_every_steps=2)
    assert steps_saved(settings, num_steps=5) == [2, 4, 5]


def test_a_run_saves_every_step_when_its_deadline_is_near():
    settings = ScheduleSettings(num_training_steps=100, checkpoint_every_steps=50, deadline_s=6.5)
    assert steps_saved(settings, num_steps=8) == [6, 7, 8]


PROGRAM = """
import sys
from eva_rl.config.schedule import ScheduleSettings
from eva_rl.driver.saving import Saving
from tests.unit.booked import FileLearner, adapter_of, scored, state_after, store_in

directory, num_failures = sys.argv[1], int(sys.argv[2])
store = store_in(directory)
state = state_after(1, store)
settings = ScheduleSettings(num_training_steps=100, checkpoint_every_steps=1, max_failed_saves=1)
saving = Saving(settings, warn=print)
for step in range(1, 1 + num_failures):
    state.advance(adapter_of(step + 1), [scored(adapter_of(step), f"condition{step}")])
    saving.after_step(state, FileLearner(step + 1, num_bytes=4_000_000), {})
state.advance(adapter_of(9), [scored(adapter_of(2), "condition9")])
saving.after_step(state, FileLearner(9), {})
print("saved", store.training_steps())
"""


def run_on_small_disk(directory, num_failures):
    """Runs the program with its directory on a file system of one megabyte, unmounted with its namespace."""
    directory.mkdir()
    mounted = (
        f'mount -t tmpfs -o size=1m none "{directory}" && exec "$0" -c "$1" "{directory}" {num_failures}'
    )
    words = ["unshare", "--map-root-user", "--mount", "sh", "-c", mounted, sys.executable, PROGRAM]
    if subprocess.run(["unshare", "--map-root-user", "--mount", "true"], check=False).returncode:
        pytest.skip("this machine does not let a test mount a file system of its own")
    return subprocess.run(words, capture_output=True, text=True, check=False, env=os.environ, timeout=120)


def test_a_full_disk_costs_a_checkpoint_and_no_more(tmp_path):
    finished = run_on_small_disk(tmp_path / "small", 1)
    assert "training step 2 could not be written" in finished.stdout
    assert "No space left on device" in finished.stdout
    assert "saved [1, 3]" in finished.stdout, finished.stderr


def test_a_disk_that_stays_full_ends_the_run_with_a_named_error(tmp_path):
    finished = run_on_small_disk(tmp_path / "small", 2)
    assert finished.returncode == 1
    error = finished.stderr.splitlines()[-1]
    assert "CheckpointError: the checkpoint of training step 3 could not be written" in error
    assert "2 in a row, schedule.max_failed_saves allows 1" in error


def test_the_last_checkpoint_of_a_run_must_be_written(tmp_path):
    state = state_after(1, store_in(tmp_path))
    saving = Saving(ScheduleSettings(num_training_steps=2), warn=pytest.fail)

    class Failing(FileLearner):
        def save(self, folder):
            raise OSError(28, "No space left on device")

    state.advance(adapter_of(2), [scored(adapter_of(1))])
    with pytest.raises(CheckpointError, match=r"training step 2 could not be written.*none at the end"):
        saving.after_step(state, Failing(), {})
    assert store_in(tmp_path).training_steps() == [1]
