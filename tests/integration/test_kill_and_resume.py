"""A driver that is killed in any phase and started again by the same command ends with the same bytes."""

import json
import pickle
import random
import signal
import subprocess
import sys
import time
from collections import Counter

import pytest
import ray

from eva_rl.driver.condition_schedule import ConditionSchedule
from eva_rl.metrics.table import is_reproducible
from tests.tiny import tiny_settings

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(1200)]

NUM_STEPS, EVERY = 5, 2
FINAL = f"checkpoints/step_{NUM_STEPS:06d}/manifest.json"


def lines_of(file):
    return file.read_text().count("\n") if file.is_file() else 0


def is_being_written(checkpoint):
    return checkpoint.is_dir() and not (checkpoint / "manifest.json").is_file()


def has_saved(run, step):
    return (run / f"checkpoints/step_{step:06d}/manifest.json").is_file()


PHASES = {
    "the first rollouts are made": lambda run: has_saved(run, 0),
    "a step is booked and not yet measured": lambda run: lines_of(run / "ledger.jsonl") >= 1,
    "a checkpoint is half written": lambda run: is_being_written(run / "checkpoints/step_000002"),
    "a step is measured and not yet saved": lambda run: lines_of(run / "metrics.jsonl") >= 3,
    "a checkpoint has just been written": lambda run: has_saved(run, 4),
}
"""What is seen from outside when a phase of the loop begins; later ones first become true in later steps."""


class Driver:
    """Processes that run one and the same command, one after the other."""

    def __init__(self, directory, settings, models, conditions):
        directory.mkdir()
        self.run = directory / "run"
        self._log = directory / "log"
        inputs = directory / "inputs"
        inputs.write_bytes(pickle.dumps((settings, models, conditions)))
        address = ray.get_runtime_context().gcs_address
        self._words = [sys.executable, "-m", "tests.tiny_driver", address, str(inputs), str(self.run)]

    def _start(self):
        return subprocess.Popen(self._words, stdout=self._log.open("a"), stderr=subprocess.STDOUT)

    def finish(self):
        assert self._start().wait(timeout=600) == 0, self._log.read_text()
        return self

    def kill_when(self, is_reached, *, later_s=0.0):
        """Starts the command and kills it, at the latest when it has ended."""
        process = self._start()
        deadline = time.monotonic() + 600
        while process.poll() is None and not is_reached(self.run):
            assert time.monotonic() < deadline, self._log.read_text()
            time.sleep(0.001)
        time.sleep(later_s)  # the instant within the phase is random, not awaited
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL, self._log.read_text()


def final_state(run):
    """Everything that must be equal: the bytes of all files, by their hashes, and the state without times."""
    manifest = json.loads((run / FINAL).read_text())
    state = manifest["state"]
    state["metrics"] = {name: value for name, value in state["metrics"].items() if is_reproducible(name)}
    return manifest["files"], state


def measured(run):
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in row.items() if is_reproducible(name)} for row in rows]


def consumed(run):
    lines = [json.loads(line) for line in (run / "ledger.jsonl").read_text().splitlines()]
    return Counter(group["condition_id"] for line in lines for group in line["groups"])


def check_kills(directory, models, conditions, *, ranks, ahead, phases):
    settings = tiny_settings(
        run__directory=directory / "killed" / "run",
        run__resume="auto",
        schedule__num_training_steps=NUM_STEPS,
        schedule__checkpoint_every_steps=EVERY,
        schedule__rollouts_ahead=ahead,
        learner__num_ranks=ranks,
        learner__zero_stage=2 if ranks > 1 else 0,
    )
    whole = Driver(directory / "whole", settings, models, conditions).finish()
    killed = Driver(directory / "killed", settings, models, conditions)
    generator = random.Random(10 * ranks + ahead)
    for phase in phases:
        killed.kill_when(PHASES[phase], later_s=generator.uniform(0, 0.02))
    killed.finish()

    assert final_state(killed.run) == final_state(whole.run)
    assert measured(killed.run) == measured(whole.run)
    assert (killed.run / "ledger.jsonl").read_bytes() == (whole.run / "ledger.jsonl").read_bytes()
    schedule = ConditionSchedule(conditions, groups_per_step=2, seed=settings.run.seed)
    wanted = [item.condition.condition_id for step in range(NUM_STEPS) for item in schedule.batch(step)]
    assert consumed(killed.run) == Counter(wanted)


def test_a_killed_driver_ends_with_the_same_bytes(local_ray, tiny_models, tiny_conditions, tmp_path):
    phases = ["a checkpoint is half written", "a step is measured and not yet saved"]
    check_kills(tmp_path, tiny_models, tiny_conditions, ranks=1, ahead=1, phases=phases)


@pytest.mark.parametrize("ahead", [0, 1])
@pytest.mark.parametrize("ranks", [1, 2])
def test_every_phase_may_be_the_last(local_ray, tiny_models, tiny_conditions, tmp_path, ranks, ahead):
    check_kills(tmp_path, tiny_models, tiny_conditions, ranks=ranks, ahead=ahead, phases=list(PHASES))
