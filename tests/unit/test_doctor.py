"""Every check passes on the shipped models, and fails when what it looks for is really broken."""

import io
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from rich.console import Console
from safetensors.torch import load_file, save_file

from eva_rl import pretrained
from eva_rl.actors.encoder import encode_conditions
from eva_rl.actors.generator import Generator
from eva_rl.actors.reward_setup import reward_of
from eva_rl.config.align import AlignSettings
from eva_rl.config.loading import load_settings
from eva_rl.config.rules import ALIGN_RULES
from eva_rl.data.conditions import conditions_from_windows
from eva_rl.data.listing import EpisodeDirectoryError
from eva_rl.driver.doctor.check import Finding, SelfTestError
from eva_rl.driver.doctor.checks import CHECKS, judged, not_reached
from eva_rl.driver.doctor.display import print_results, results_as_data
from eva_rl.driver.doctor.evidence import RewardEvidence, UpdateEvidence
from eva_rl.driver.doctor.recorded_clips import clips_of, recorded_clips
from eva_rl.driver.doctor.workbench import Workbench
from eva_rl.records.calibration import Calibration
from eva_rl.world_model.lora import adapter_parameters, live_version

WORLD_MODEL, IDM = str(pretrained.WORLD_MODEL), str(pretrained.IDM)
SMALL = (
    "--algorithm.group_size",
    "2",
    "--algorithm.groups_per_step",
    "2",
    "--learner.groups_per_micro_batch",
    "1",
)


def settings_with(*words):
    return load_settings(AlignSettings, file=None, overrides=[*SMALL, *words], rules=lambda: ALIGN_RULES)


def verdicts(*evidence):
    return {result.check.name: result.finding.passed for result in judged(evidence)}


@pytest.fixture(scope="module")
def clips():
    return recorded_clips(settings_with(), number=4)


@pytest.fixture(scope="module")
def conditions(clips):
    return encode_conditions(WORLD_MODEL, conditions_from_windows(clips[:2], seed=0))


@pytest.fixture
def bench():
    return Workbench(settings_with(), world_model=WORLD_MODEL, idm=IDM)


def reward_verdicts(clips, *words):
    positions = torch.from_numpy(np.stack([clip.actions for clip in clips]))
    reward = reward_of(settings_with(*words), penalty_scale=1.0)
    return verdicts(RewardEvidence(reward=reward, positions=positions))


JITTER, LIMIT, FROZEN = (check.name for check in CHECKS[:3])


@pytest.mark.parametrize("preset", ["eva-paper", "limits-first"])
def test_both_reward_presets_point_the_right_way(clips, preset):
    found = reward_verdicts(clips, "--reward.preset", preset)
    assert found == {JITTER: True, LIMIT: True, FROZEN: None}


def test_a_reward_of_limits_alone_need_not_mind_jitter_within_them(clips):
    found = reward_verdicts(clips, "--reward.preset", "limits-only")
    assert found == {JITTER: None, LIMIT: True, FROZEN: None}


def test_a_reward_of_neither_smoothness_nor_limits_does_not_mind_jitter(clips):
    weights = "{jerk: 0, acceleration: 0, acceleration_limit: 0, velocity_limit: 0, motion_floor: 1}"
    assert reward_verdicts(clips, "--reward.term_weights", weights)[JITTER] is False


def test_a_reward_without_limits_does_not_mind_a_violation(clips):
    words = ("--reward.term_weights", "{velocity_limit: 0, acceleration_limit: 0}")
    assert reward_verdicts(clips, *words)[LIMIT] is False


@pytest.mark.parametrize(("weight", "passes"), [(1000.0, True), (0.01, False)])
def test_a_floor_of_motion_must_outweigh_what_standing_still_saves(clips, weight, passes):
    words = ("--reward.preset", "limits-first", "--reward.term_weights", f"{{motion_floor: {weight}}}")
    assert reward_verdicts(clips, *words)[FROZEN] is passes


def test_the_shipped_idm_reads_real_video_within_its_cards_error(bench, clips):
    _, reading = bench.recorded(clips)
    (result,) = judged([reading])
    assert result.finding.passed
    assert "card says 0.0127" in result.finding.note


def test_an_idm_that_reads_a_joint_wrongly_is_found(clips, tmp_path):
    shutil.copytree(IDM, tmp_path / "idm")
    weights = load_file(tmp_path / "idm" / "model.safetensors")
    weights["position_mean"][1] += 0.2  # rad, at one joint
    save_file(weights, tmp_path / "idm" / "model.safetensors")
    bench = Workbench(settings_with(), world_model=WORLD_MODEL, idm=str(tmp_path / "idm"))
    (result,) = judged(bench.recorded(clips)[1:])
    assert result.finding.passed is False
    assert "idm.directory" in str(result)


def test_video_from_another_side_is_found(bench, clips):
    mirrored = [replace(clip, frames=clip.frames[:, :, ::-1].copy()) for clip in clips]
    assert verdicts(*bench.recorded(mirrored)[1:]) == {"joints are read from real video": False}


@pytest.mark.parametrize("loss", ["clipped_ratio", "nft"])
def test_the_ratio_of_sampler_and_replay_is_one(conditions, loss):
    words = ["--algorithm.loss", loss]
    if loss == "nft":
        words += ["--algorithm.kl_form", "velocity", "--sampling.shares_prefix", "false"]
        words += ["--sampling.antithetic", "false"]
    bench = Workbench(settings_with(*words), world_model=WORLD_MODEL, idm=IDM)
    assert verdicts(bench.ratio(conditions[0])) == {"the ratio starts at 1": True}


def test_a_generator_whose_merged_weights_are_stale_is_found(bench, conditions):
    bench.generator._merged.refresh = lambda: None  # the fault: the adapter arrives, and is not sampled with
    assert verdicts(bench.ratio(conditions[0])) == {"the ratio starts at 1": False}


def test_a_generator_with_other_base_weights_is_found(bench, conditions):
    for layer, _, base in bench.generator._merged._layers:
        base *= 1.05
        layer.weight.data.copy_(base)
    result = bench.ratio(conditions[0])
    assert verdicts(result) == {"the ratio starts at 1": False}, result.max_deviation


ARRIVES, CORRUPTED, WITHHELD = "a push arrives", "a corrupted push is refused", "a withheld push is noticed"


def test_the_shipped_generator_takes_pushes_as_it_should(bench, conditions):
    assert verdicts(bench.pushes(conditions[0])) == {ARRIVES: True, CORRUPTED: True, WITHHELD: True}


class CredulousGenerator(Generator):
    """Takes whatever comes, without comparing hashes."""

    def write_adapter(self, weights):
        parts = adapter_parameters(self._world_model.transformer)
        pieces = torch.from_numpy(weights.values).split([weight.numel() for _, weight in parts])
        for (_, weight), piece in zip(parts, pieces, strict=True):
            weight.data.copy_(piece.view_as(weight))
        self._training_step = weights.version.training_step
        return self.version()


class LosingGenerator(Generator):
    """Confirms pushes that never reach its weights."""

    def write_adapter(self, weights):
        self._training_step = weights.version.training_step
        return weights.version


class BoastingGenerator(CredulousGenerator):
    """Stamps rollouts with the newest version that anybody has announced."""

    announced = None

    def version(self):
        own = live_version(self._world_model.transformer, self._training_step)
        return self.announced or own


def test_a_generator_that_compares_no_hashes_is_found(bench, conditions):
    bench.generator = CredulousGenerator(settings_with(), WORLD_MODEL)
    assert verdicts(bench.pushes(conditions[0])) == {ARRIVES: True, CORRUPTED: False, WITHHELD: True}


def test_a_generator_that_loses_pushes_is_found(bench, conditions):
    bench.generator = LosingGenerator(settings_with(), WORLD_MODEL)
    assert verdicts(bench.pushes(conditions[0]))[ARRIVES] is False


def test_a_generator_that_stamps_what_it_has_only_heard_of_is_found(bench, conditions):
    bench.generator = BoastingGenerator(settings_with(), WORLD_MODEL)
    bench.generator.announced = bench._probe_adapter().version
    assert verdicts(bench.pushes(conditions[0]))[WITHHELD] is False


def test_an_update_of_another_size_is_found(bench, conditions):
    groups = bench.generator.generate(conditions, 0)
    weights = torch.tensor([[1.0, -1.0], [-0.5, 0.5]])
    calibration = Calibration(penalty_scale=10.0)
    before = bench._initial.values
    plain = bench.update(groups, weights, calibration=calibration, after=before).plain
    assert np.abs(plain - before).max() > 1e-5
    name = "the update is plain AdamW's"
    for after, passes in ((plain, True), (before + 1.01 * (plain - before), False), (before, False)):
        evidence = bench.update(groups, weights, calibration=calibration, after=after)
        assert verdicts(evidence) == {name: passes}


def test_an_update_without_any_gradient_has_nothing_to_compare():
    nothing = np.zeros(3, np.float32)
    evidence = UpdateEvidence(before=nothing, after=nothing, plain=nothing, precision=torch.float32)
    assert list(verdicts(evidence).values()) == [None]


def test_a_figure_that_is_not_a_number_never_passes():
    assert Finding(figure=float("nan")).passed is False
    assert Finding(figure=None).passed is None


def test_a_failed_check_says_what_was_got_what_is_allowed_and_what_to_do(clips):
    positions = torch.from_numpy(np.stack([clip.actions for clip in clips]))
    settings = settings_with("--reward.term_weights", "{velocity_limit: 0, acceleration_limit: 0}")
    failed = judged([RewardEvidence(reward=reward_of(settings, penalty_scale=1.0), positions=positions)])[1]
    message = str(SelfTestError([failed]))
    for part in (
        "a limit violation lowers the reward",
        "got 0 reward",
        "allowed -10 to",
        "needs a weight above 0",
    ):
        assert part in message


def test_the_table_and_the_data_hold_every_check(clips):
    positions = torch.from_numpy(np.stack([clip.actions for clip in clips]))
    results = judged(
        [RewardEvidence(reward=reward_of(settings_with(), penalty_scale=1.0), positions=positions)]
    )
    results += not_reached(results)
    console = Console(width=130, record=True, file=io.StringIO())
    print_results(results, console=console)
    text = console.export_text()
    data = json.loads(json.dumps(results_as_data(results), allow_nan=False))
    assert len(data) == len(CHECKS)
    assert all(check.name in text and check.advice for check in CHECKS)


def test_directories_without_a_readable_clip_are_named():
    with pytest.raises(EpisodeDirectoryError, match=r"no expert of robot\.tasks"):
        recorded_clips(settings_with("--video.num_frames", "5", "--video.frame_rate_hz", "5"), number=1)
    with pytest.raises(EpisodeDirectoryError, match="none of the 0 episodes"):
        clips_of([], settings_with(), number=2)
