"""The doctor on real DeepSpeed ranks: all is well as shipped, and broken synchronisation is found."""

import pytest
import ray
import torch

from eva_rl.actors import learner as learner_module
from eva_rl.actors.generator import Generator
from eva_rl.actors.learner import Learner
from eva_rl.config.align import AlignSettings
from eva_rl.config.loading import load_settings
from eva_rl.config.rules import ALIGN_RULES
from eva_rl.driver.doctor.check import SelfTestError
from eva_rl.driver.doctor.checks import CHECKS, judged
from eva_rl.driver.doctor.evidence import PushEvidence
from eva_rl.driver.doctor.examination import Examination
from eva_rl.driver.doctor.learner_step import is_learned, join_ranks, step_on_ranks
from eva_rl.driver.doctor.startup import StartupSelfTest, WatchedLearner
from eva_rl.driver.doctor.workbench import Workbench
from eva_rl.records.calibration import Calibration
from tests.running_ranks import group_of
from tests.tiny import tiny_settings

pytestmark = pytest.mark.integration

CALIBRATION = Calibration(penalty_scale=10.0)
WEIGHTS = torch.tensor([[1.0, -1.0, 0.5, -0.5], [-0.3, 0.3, 1.2, -1.2]])
AGREE, PLAIN, WITHHELD = (
    "learner ranks hold one adapter",
    "the update is plain AdamW's",
    "a withheld push is noticed",
)
FINE = {AGREE: True, PLAIN: True}
real_start_engine = learner_module.start_engine


def nothing(*arguments, **keywords):
    return None


def unaveraged(engine, rank):
    """Every rank keeps its own gradient."""
    if engine.zero_optimization_stage() == 0:
        engine.allreduce_gradients = nothing
    else:
        engine.optimizer.average_tensor = nothing


def skipped_by_the_second(engine, rank):
    """One rank does not take part in the all-reduce."""
    if rank == 1:
        engine.allreduce_gradients = nothing


def fast(engine, rank):
    """The optimiser steps half as far again as it was told to."""
    for group in engine.optimizer.param_groups:
        group["lr"] *= 1.5


class BreakableLearner(Learner):
    """A rank that is several learners after each other, with a fault in the engine of some."""

    def __init__(self):
        self.is_alive = True

    def become(self, settings, world_model, idm, fault):
        def start(network, learner, rendezvous, **keywords):
            engine = real_start_engine(network, learner, rendezvous, **keywords)
            if fault is not None:
                fault(engine, rendezvous.rank)
            return engine

        learner_module.start_engine = start
        Learner.__init__(self, settings, world_model, idm)

    def accept_old_policies(self):
        self._settings = tiny_settings(schedule__rollouts_ahead=5, learner__num_ranks=2)


def start_ranks():
    return [ray.remote(BreakableLearner).options(num_cpus=0.1).remote() for _ in range(2)]


@pytest.fixture(scope="module")
def ranks(local_ray):
    started = start_ranks()
    yield started
    for rank in started:
        ray.kill(rank)


@pytest.fixture(scope="module")
def groups(tiny_models, tiny_conditions):
    return Generator(tiny_settings(), tiny_models.world_model).generate(tiny_conditions[:2], 0)


def become(ranks, models, settings, fault=None):
    ray.get([rank.become.remote(settings, models.world_model, models.idm, fault) for rank in ranks])
    join_ranks(ranks, CALIBRATION)


def examine_step(ranks, models, groups, *, zero_stage, fault):
    """Verdicts on one step of ranks that may be broken."""
    settings = tiny_settings(learner__num_ranks=2, learner__zero_stage=zero_stage)
    become(ranks, models, settings, fault)
    update, step = step_on_ranks(ranks, groups, WEIGHTS, deadline_s=60)
    bench = Workbench(settings, world_model=models.world_model, idm=models.idm)
    plain = bench.update(groups, WEIGHTS, calibration=CALIBRATION, after=update.weights.values)
    return {result.check.name: result.finding.passed for result in judged([step, plain])}


@pytest.mark.parametrize("zero_stage", [0, 2])
def test_ranks_that_average_their_gradients_pass(ranks, tiny_models, groups, zero_stage):
    assert examine_step(ranks, tiny_models, groups, zero_stage=zero_stage, fault=None) == FINE


def test_ranks_that_keep_their_own_gradients_drift_apart(ranks, tiny_models, groups):
    found = examine_step(ranks, tiny_models, groups, zero_stage=0, fault=unaveraged)
    assert found == {AGREE: False, PLAIN: False}


def test_owners_that_average_nothing_agree_on_the_wrong_update(ranks, tiny_models, groups):
    found = examine_step(ranks, tiny_models, groups, zero_stage=2, fault=unaveraged)
    assert found == {AGREE: True, PLAIN: False}


def test_an_optimiser_that_steps_too_far_is_found(ranks, tiny_models, groups):
    assert examine_step(ranks, tiny_models, groups, zero_stage=0, fault=fast) == {AGREE: True, PLAIN: False}


def test_a_rank_that_skips_the_all_reduce_is_found_before_the_deadline_of_the_user(
    local_ray, tiny_models, groups
):
    ranks = start_ranks()  # their own: what hangs cannot be used again
    try:
        become(ranks, tiny_models, tiny_settings(learner__num_ranks=2), skipped_by_the_second)
        update, step = step_on_ranks(ranks, groups, WEIGHTS, deadline_s=5)
    finally:
        for rank in ranks:
            ray.kill(rank)
    (result,) = judged([step])
    assert update is None
    assert result.finding.passed is False
    assert result.finding.note
    assert "MASTER_ADDR" in str(result)


def test_a_learner_that_takes_rollouts_of_a_withheld_push_is_found(ranks, tiny_models, groups):
    become(ranks, tiny_models, tiny_settings(learner__num_ranks=2))
    update, _ = step_on_ranks(ranks, groups, WEIGHTS, deadline_s=60)

    def verdict():
        evidence = PushEvidence(
            pushed=update.weights.version,
            arrived=update.weights.version,
            corrupted=None,
            withheld=groups[0].adapter,
            withheld_pushed=update.weights.version,
            withheld_is_learned=is_learned(ranks, groups, WEIGHTS),
        )
        return {result.check.name: result.finding.passed for result in judged([evidence])}[WITHHELD]

    assert verdict() is True
    ray.get([rank.accept_old_policies.remote() for rank in ranks])
    # the versions it has made are forgotten with its settings' bound; give it the first one back
    ray.get(
        [
            rank.__ray_call__.remote(lambda self, first=groups[0].adapter: self._known.append(first))
            for rank in ranks
        ]
    )
    assert verdict() is False


@pytest.mark.parametrize(("fault", "fails"), [(None, ()), (unaveraged, (AGREE,)), (fast, (PLAIN,))])
def test_the_first_step_of_a_run_is_watched(ranks, tiny_models, tiny_conditions, groups, fault, fails):
    settings = tiny_settings(learner__num_ranks=2)
    become(ranks, tiny_models, settings, fault)
    self_test = StartupSelfTest(settings, world_model=tiny_models.world_model, idm=tiny_models.idm)
    learner = WatchedLearner(group_of(ranks), self_test)
    learner.prepare(CALIBRATION)
    try:
        if not fails:
            learner.learn([ray.put(group) for group in groups], WEIGHTS)
            self_test.look(wait_s=240)
            found = {result.check.name: result.finding.passed for result in self_test.results}
            assert found == {**FINE, "the ratio starts at 1": True}
            return
        with pytest.raises(SelfTestError, match=fails[0]):
            learner.learn([ray.put(group) for group in groups], WEIGHTS)
            self_test.look(wait_s=240)
    finally:
        self_test.stop()


def test_every_check_passes_on_the_shipped_models(local_ray):
    words = [
        "--learner.num_ranks",
        "2",
        "--learner.groups_per_micro_batch",
        "1",
        "--algorithm.group_size",
        "4",
    ]
    words += ["--reward.preset", "limits-first", "--reward.term_weights", "{motion_floor: 1000}"]
    settings = load_settings(AlignSettings, file=None, overrides=words, rules=lambda: ALIGN_RULES)
    examination = Examination(settings)
    try:
        results = examination.results()
    finally:
        examination.stop()
    assert [result.check for result in results] == list(CHECKS)
    assert all(result.finding.passed for result in results), "\n".join(map(str, results))
