"""A rollout is made again from its record: the same bytes, or what differs."""

from dataclasses import replace

import numpy as np
import pytest

from eva_rl.actors.generator import Generator
from eva_rl.actors.policy import open_policy
from eva_rl.actors.scorer import Scorer
from eva_rl.checkpoints.store import CheckpointStore
from eva_rl.config.section import ConfigError
from eva_rl.driver.condition_schedule import ConditionSchedule
from eva_rl.driver.ledger import Ledger, ledger_lines
from eva_rl.driver.rollout_replay import find_record, replay_rollout
from eva_rl.driver.run_directory import RunDirectory
from eva_rl.driver.run_state import RunState
from eva_rl.driver.sentinel_watch import SentinelWatch
from eva_rl.records.adapter import AdapterVersion, AdapterWeights, adapter_hash
from eva_rl.records.calibration import Calibration
from eva_rl.records.rollout_id import RolloutId
from eva_rl.world_model.lora import adapter_parameters
from tests.tiny import tiny_settings
from tests.unit.booked import FileLearner

SETTINGS = tiny_settings(algorithm__groups_per_step=4, generators__groups_per_call=2)
CALIBRATION = Calibration(penalty_scale=10.0)
STEPS = 2


def moved_adapter(world_model, training_step):
    """An adapter that is another one at every training step."""
    parameters = adapter_parameters(world_model.transformer)
    random = np.random.default_rng(training_step)
    tensors = [
        (name, (weight.detach().numpy() + 0.1 * random.standard_normal(weight.shape)).astype(np.float32))
        for name, weight in parameters
    ]
    version = AdapterVersion(training_step=training_step, content_hash=adapter_hash(tensors))
    return AdapterWeights(version=version, values=np.concatenate([values.ravel() for _, values in tensors]))


@pytest.fixture(scope="module")
def schedule(tiny_conditions):
    return ConditionSchedule(tiny_conditions, groups_per_step=4, seed=SETTINGS.run.seed)


@pytest.fixture(scope="module")
def run(tiny_models, schedule, tmp_path_factory):
    """Two training steps, sampled and scored in calls of two groups, and not learned from."""
    run = RunDirectory(tmp_path_factory.mktemp("run"))
    generator = Generator(SETTINGS, tiny_models.world_model)
    scorer = Scorer(SETTINGS, tiny_models.world_model, tiny_models.idm)
    scorer.set_penalty_scale(CALIBRATION.penalty_scale)
    world_model = open_policy(SETTINGS, tiny_models.world_model)
    adapters = [moved_adapter(world_model, step) for step in range(STEPS + 1)]
    state = RunState(
        CheckpointStore(run.checkpoints, keep=1),
        rollouts_ahead=1,
        initial=adapters[0],
        calibration=CALIBRATION,
        watch=SentinelWatch(SETTINGS.reward),
        ledger=Ledger(run.ledger),
    )
    for step in range(STEPS):
        generator.write_adapter(adapters[step])
        batch = schedule.batch(step)
        groups = [group for first in (0, 2) for group in generator.generate(batch[first : first + 2], step)]
        state.advance(adapters[step + 1], scorer.score(*groups))
        state.save(FileLearner())
    return run


def names_of(run, training_step, member=3):
    line = ledger_lines(run.ledger.read_bytes())[training_step]
    return [
        RolloutId(training_step=training_step, condition_id=group["condition_id"], member=member)
        for group in line["groups"]
    ]


def record_of(run, rollout):
    return find_record(run, CheckpointStore(run.checkpoints, keep=1), rollout)


def again(record, schedule, models):
    batch = schedule.batch(record.rollout.training_step)
    return replay_rollout(SETTINGS, record, batch, world_model=models.world_model, idm=models.idm)


@pytest.mark.parametrize("place", range(4))
def test_every_rollout_of_a_batch_is_made_again_bit_for_bit(run, schedule, tiny_models, place):
    record = record_of(run, names_of(run, 1)[place])
    made = again(record, schedule, tiny_models)
    assert made.differences == ()
    assert made.reward == record.reward
    assert made.frames.shape == (5, 16, 16, 3)
    assert made.positions.shape == (5, 14)
    assert set(made.arrays()) >= {"frames", "positions", "latents", "reward", "term_jerk"}


def test_what_is_not_as_recorded_is_named(run, schedule, tiny_models):
    record = record_of(run, names_of(run, 1)[0])
    made = again(replace(record, reward=0.25), schedule, tiny_models)
    assert made.differences == (f"reward: recorded 0.25, now {record.reward}",)
    assert record.weights.version.training_step == 1


def test_another_adapter_gives_other_latents(run, schedule, tiny_models):
    record = record_of(run, names_of(run, 1)[0])
    other = moved_adapter(open_policy(SETTINGS, tiny_models.world_model), 7)
    made = again(replace(record, weights=other), schedule, tiny_models)
    assert made.differences[0].startswith(f"latents: recorded {record.latents}, now ")


def test_an_adapter_that_no_checkpoint_keeps_is_named(run):
    with pytest.raises(ConfigError, match=r"keeps the adapter of training step 0; .* steps \[1\]"):
        record_of(run, names_of(run, 0)[0])


@pytest.mark.parametrize(
    ("rollout", "message"),
    [
        ("7/task/episode0/0", "has 2 training steps, counted from 0; got 7"),
        ("1/juggle/0", "training step 1 of .* has the rollouts task/episode"),
        ("1/task/episode0/9", "has the rollouts task/episode"),
    ],
)
def test_a_rollout_that_a_run_never_made_is_refused(run, rollout, message):
    with pytest.raises(ConfigError, match=message):
        record_of(run, RolloutId.parse(rollout))


def test_a_name_is_read_as_it_is_written():
    rollout = RolloutId(training_step=12, condition_id="click_bell/episode0/seen", member=3)
    assert RolloutId.parse(str(rollout)) == rollout
    with pytest.raises(ValueError, match="TRAINING_STEP/CONDITION_ID/MEMBER"):
        RolloutId.parse("click_bell/3")
