"""The learner's state is the same files whatever the ranks and the ZeRO stage, and goes back exactly."""

import json
import shutil

import numpy as np
import pytest
import ray
from safetensors.numpy import load_file

from eva_rl.actors.generator import Generator
from eva_rl.actors.learner_state import LEARNER_FILE, OPTIMIZER_FILE
from eva_rl.checkpoints.folder import Folder
from tests.integration.test_deepspeed_parity import ADVANTAGES, CALIBRATION, LearnerProcess
from tests.running_ranks import group_of
from tests.tiny import tiny_settings

pytestmark = pytest.mark.integration

LAYOUTS = [(ranks, stage) for ranks in (1, 2) for stage in range(4)]


def name_of(layout):
    return f"{layout[0]}_ranks_zero_{layout[1]}"


SCHEDULE = {"learner__warmup_steps": 2, "learner__decay": "cosine", "schedule__num_training_steps": 6}


@pytest.fixture(scope="module")
def processes(local_ray):
    """A learner of one rank and one of two."""
    started = {
        n: [ray.remote(LearnerProcess).options(num_cpus=0.1).remote() for _ in range(n)] for n in (1, 2)
    }
    yield started
    for process in [process for ranks in started.values() for process in ranks]:
        ray.kill(process)


@pytest.fixture(scope="module")
def groups(tiny_models, tiny_conditions):
    return Generator(tiny_settings(), tiny_models.world_model).generate(tiny_conditions[:2], 0)


class Trainee:
    """A learner in one layout that always learns from the same rollouts."""

    def __init__(self, processes, models, groups, layout, **overrides):
        ranks, stage = layout
        settings = tiny_settings(
            learner__num_ranks=ranks,
            learner__zero_stage=stage,
            schedule__rollouts_ahead=5,
            **SCHEDULE,
            **overrides,
        )
        members = processes[ranks]
        ray.get([process.become.remote(settings, models.world_model, models.idm) for process in members])
        self.learner = group_of(members)
        self.learner.join()
        self.learner.prepare(CALIBRATION)
        self.groups = [ray.put(group) for group in groups]

    def learn(self):
        return self.learner.learn(self.groups, ADVANTAGES)

    def saved(self, directory):
        shutil.rmtree(directory, ignore_errors=True)
        self.learner.save(Folder.local(directory))
        return (directory / OPTIMIZER_FILE).read_bytes(), (directory / LEARNER_FILE).read_bytes()


@pytest.fixture(scope="module")
def reference(processes, tiny_models, groups, tmp_path_factory):
    """State of one rank without ZeRO after two steps, and its third step."""
    directory = tmp_path_factory.mktemp("reference")
    trainee = Trainee(processes, tiny_models, groups, (1, 0))
    trainee.learn()
    trainee.learn()
    return directory, trainee.saved(directory), trainee.learn()


@pytest.mark.parametrize("layout", LAYOUTS, ids=name_of)
def test_any_layout_takes_up_another_ones_state(processes, tiny_models, groups, reference, tmp_path, layout):
    directory, saved, expected = reference
    trainee = Trainee(processes, tiny_models, groups, layout)
    trainee.learner.load(Folder.local(directory))
    assert trainee.saved(tmp_path / "again") == saved  # scattered and gathered: nothing has changed

    update = trainee.learn()
    assert update.metrics["learner/loss"] == pytest.approx(expected.metrics["learner/loss"], abs=1e-6)
    assert update.metrics["learner/learning_rate"] == expected.metrics["learner/learning_rate"]
    np.testing.assert_allclose(update.weights.values, expected.weights.values, atol=2e-6)


@pytest.mark.parametrize("layout", [(1, 0), (2, 1), (2, 2), (2, 3)], ids=name_of)
def test_a_layout_goes_on_from_its_own_state_to_the_same_bytes(
    processes, tiny_models, groups, reference, tmp_path, layout
):
    trainee = Trainee(processes, tiny_models, groups, layout)
    trainee.learn()
    trainee.saved(tmp_path / "after_1")
    trainee.learn()
    expected, expected_state = trainee.learn(), trainee.saved(tmp_path / "after_3")

    other = Trainee(processes, tiny_models, groups, layout)
    other.learner.load(Folder.local(tmp_path / "after_1"))
    other.learn()
    assert other.learn().weights.version == expected.weights.version
    assert other.saved(tmp_path / "after_3") == expected_state

    # and a learner that has gone on falls back exactly as well
    other.learner.load(Folder.local(tmp_path / "after_1"))
    other.learn()
    assert other.learn().weights.version == expected.weights.version


def test_an_untouched_learner_is_a_state_like_any_other(processes, tiny_models, groups, tmp_path):
    trainee = Trainee(processes, tiny_models, groups, (1, 0))
    trainee.saved(tmp_path)
    expected = trainee.learn().weights.version
    trainee.learn()
    trainee.learner.load(Folder.local(tmp_path))
    assert trainee.learn().weights.version == expected


@pytest.mark.parametrize("stage", range(4))
def test_bfloat16_keeps_its_float32_weights(processes, tiny_models, tiny_conditions, tmp_path, stage):
    overrides = {"world_model__precision": "bfloat16", "algorithm__kl_beta": 0.0}
    groups = Generator(tiny_settings(**overrides), tiny_models.world_model).generate(tiny_conditions[:2], 0)
    trainee = Trainee(processes, tiny_models, groups, (1, stage), **overrides)
    trainee.learn()
    state = trainee.saved(tmp_path / "after_1")
    weights = load_file(tmp_path / "after_1" / OPTIMIZER_FILE)
    assert {str(tensor.dtype) for tensor in weights.values()} == {"float32"}
    expected = trainee.learn().weights.version

    other = Trainee(processes, tiny_models, groups, (1, stage), **overrides)
    other.learner.load(Folder.local(tmp_path / "after_1"))
    assert other.saved(tmp_path / "again") == state
    assert other.learn().weights.version == expected


def test_the_state_holds_no_pickle(reference):
    directory, _, _ = reference
    names = sorted(file.name for file in directory.rglob("*") if file.is_file())
    assert {name.rpartition(".")[2] for name in names} == {"safetensors", "json"}
    assert json.loads((directory / LEARNER_FILE).read_text())["num_updates"] == 2
