"""Every alarm goes off when its fault is made on purpose, and stays off for honest demonstrations."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional

from eva_rl import pretrained
from eva_rl.actors.group_observer import GroupObserver
from eva_rl.actors.reward_setup import reward_of
from eva_rl.actors.rollout_clips import RolloutClips
from eva_rl.actors.scene_view import SceneView
from eva_rl.config.align import AlignSettings
from eva_rl.config.reward import RewardSettings
from eva_rl.driver.scores import BatchScores
from eva_rl.driver.sentinel_watch import SentinelWatch
from eva_rl.idm import InverseDynamicsModel
from eva_rl.metrics.table import declared_metric
from eva_rl.records.adapter import AdapterVersion
from eva_rl.records.reward import ScoredGroup
from eva_rl.rewards.evidence import Evidence
from eva_rl.rewards.reward import REWARD_PRESETS
from eva_rl.rewards.sentinels import SENTINELS
from eva_rl.simulators.bimanual import TASKS, BimanualScene

MEMBERS, FAULT_FROM = 2, 5
VERSION = AdapterVersion(training_step=0, content_hash="0" * 16)
ARMS = [*range(6), *range(7, 13)]


@pytest.fixture(scope="module")
def idm():
    return InverseDynamicsModel.from_directory(pretrained.IDM).requires_grad_(False)


@pytest.fixture(scope="module")
def judge(tmp_path_factory, idm):
    """A reader with readings of its own: the shipped one, its head disturbed."""
    other = InverseDynamicsModel.from_directory(pretrained.IDM).requires_grad_(False)
    noise = torch.randn(other.head.weight.shape, generator=torch.Generator().manual_seed(0))
    other.head.weight += 0.02 * other.head.weight.std() * noise
    directory = tmp_path_factory.mktemp("judge")
    other.save(directory)
    return directory


@pytest.fixture(scope="module")
def settings(judge):
    return AlignSettings(
        reward=RewardSettings(judge=judge, rerendered_per_group=MEMBERS, num_baseline_steps=1)
    )


@pytest.fixture(scope="module")
def steps():
    """Two training steps of recorded demonstrations: per task a scene and two ways to act in it."""
    return [[demonstrations(task, seed) for task in TASKS] for seed in (300, 301)]


def demonstrations(task, seed):
    scene = BimanualScene(task, seed)
    plan = scene.expert().actions
    generator = np.random.default_rng(seed)
    clips = []
    for size in (0.0, 0.02):
        actions = plan.copy()
        actions[:, ARMS] += generator.normal(0, size, len(ARMS)).astype(np.float32)
        clips.append(scene.execute(actions, render=True).frames)
    frames = torch.from_numpy(np.stack(clips)).permute(0, 1, 4, 2, 3) / 127.5 - 1
    return scene, frames


def scores_of(step, settings, idm, *, fault=lambda frames, scene: frames, misreading=0.0):
    observer = GroupObserver(settings, device="cpu")
    reward = reward_of(settings, penalty_scale=40.0)
    groups = []
    for scene, honest in step:
        frames = fault(honest.clone(), scene)
        positions = idm.decode_positions(frames)
        positions[:, FAULT_FROM:, ARMS] += misreading
        observations = observer.observe(
            RolloutClips(torch.empty(0), decode=lambda _, frames=frames: frames),
            positions,
            view=SceneView(scene),
            reward=reward,
            evidence=Evidence(path_length=torch.tensor([path_of(scene.expert().actions)])),
        )
        groups.append(scored(reward(positions), observations, scene.task))
    return batch(groups)


def path_of(actions):
    return float(np.abs(np.diff(actions[:, ARMS], axis=0)).sum())


def scored(breakdown, observations, name="group"):
    return ScoredGroup(
        condition_id=name,
        adapter=VERSION,
        breakdown=breakdown,
        path_lengths=breakdown.rewards,
        generation_s=0.0,
        scoring_s=0.0,
        observations=observations,
    )


def batch(groups):
    return BatchScores(
        rewards=torch.stack([group.breakdown.rewards for group in groups]),
        judged=torch.stack([group.breakdown.judged for group in groups]),
        groups=tuple(groups),
    )


def freeze(frames, scene):
    return frames[:, :1].expand_as(frames)


def paint_one_arm_over(frames, scene):
    rendered = scene.render_motion(scene.start_joints[None])
    empty = torch.from_numpy(rendered.empty).permute(2, 0, 1) / 127.5 - 1
    frames[:, FAULT_FROM:, :, :, :32] = empty[..., :32]
    return frames


def stretch(frames, scene):
    later = frames[:, FAULT_FROM:]
    taller = functional.interpolate(later.flatten(0, 1), size=(58, 64), mode="bilinear")[:, :, 5:53]
    frames[:, FAULT_FROM:] = taller.unflatten(0, later.shape[:2])
    return frames


def make_members_equal(frames, scene):
    return frames[:1].expand_as(frames)


FAULTS = {
    "frozen_video": freeze,
    "shrunken_motion": freeze,
    "vanished_arm": paint_one_arm_over,
    "link_length_drift": stretch,
    "diversity_collapse": make_members_equal,
}


@pytest.fixture(scope="module")
def normal_state(steps, settings, idm):
    watch = SentinelWatch(settings.reward)
    assert watch.observe(0, scores_of(steps[0], settings, idm)) == []
    return watch.state()


def watch_with(settings, state):
    watch = SentinelWatch(settings.reward)
    watch.restore(state)
    return watch


def test_honest_demonstrations_raise_no_alarm(steps, settings, idm, normal_state):
    watch = watch_with(settings, normal_state)
    assert watch.observe(1, scores_of(steps[1], settings, idm)) == []
    metrics = watch.metrics()
    assert {name for name in metrics if name.startswith("sentinel/")} == {
        f"sentinel/{name}" for name in SENTINELS
    }
    assert all(metrics[f"sentinel/{name}"] == 0 for name in SENTINELS)


@pytest.mark.parametrize("sentinel", FAULTS)
def test_a_fault_raises_its_alarm(sentinel, steps, settings, idm, normal_state):
    watch = watch_with(settings, normal_state)
    alarms = watch.observe(7, scores_of(steps[1], settings, idm, fault=FAULTS[sentinel]))
    (alarm,) = [alarm for alarm in alarms if alarm.sentinel == sentinel]
    assert alarm.value > alarm.threshold
    assert f"sentinel {sentinel} at training step 7: " in str(alarm)
    assert watch.metrics()[f"sentinel/{sentinel}"] == 1


def test_a_reader_that_is_fooled_into_another_motion_raises_the_alarm(steps, settings, idm, normal_state):
    """0.02 rad: what a usable reader is off by at most."""
    watch = watch_with(settings, normal_state)
    alarms = watch.observe(7, scores_of(steps[1], settings, idm, misreading=0.02))
    assert "readers_disagree" in {alarm.sentinel for alarm in alarms}


def with_rewards(scores, *, rise, judge_rise):
    """The same observations, rewards moved by so many standard deviations."""

    def moved(group):
        breakdown = replace(group.breakdown, rewards=group.breakdown.rewards + rise * scores.rewards.std())
        judged = group.observations["judge_reward"]
        observations = {**group.observations, "judge_reward": judged + judge_rise * scores.rewards.std()}
        return scored(breakdown, observations)

    return batch([moved(group) for group in scores.groups])


@pytest.mark.parametrize(
    ("rise", "judge_rise", "is_alarming"), [(2, -2, True), (2, 1, False), (-2, -2, False), (-2, 2, False)]
)
def test_only_a_rising_reward_with_a_falling_judge_is_suspicious(
    steps, settings, idm, normal_state, rise, judge_rise, is_alarming
):
    watch = watch_with(settings, normal_state)
    scores = with_rewards(scores_of(steps[0], settings, idm), rise=rise, judge_rise=judge_rise)
    assert ("judge_falls" in {alarm.sentinel for alarm in watch.observe(1, scores)}) == is_alarming


@pytest.mark.parametrize(
    ("share_of_p0", "is_alarming"), [(1, False), (0.1, False), (1e4, True), (1e-4, True)]
)
def test_a_reward_is_saturated_far_from_p0_on_either_side(share_of_p0, is_alarming):
    form = REWARD_PRESETS["eva-paper"]
    rewards = form.scale * (1 + torch.full((4,), float(share_of_p0))) ** -form.gamma
    value = SENTINELS["saturated_reward"].value({"reward_leverage": form.leverage(rewards)}, {})
    assert (value > SENTINELS["saturated_reward"].threshold) == is_alarming


def test_the_leverage_is_the_reward_s_derivative():
    form = REWARD_PRESETS["eva-paper"]
    log_penalty = torch.linspace(-3, 3, 13, dtype=torch.float64).requires_grad_()
    rewards = form.scale * (1 + log_penalty.exp()) ** -form.gamma  # p0 = 1
    (slope,) = torch.autograd.grad(rewards.sum() / form.scale, log_penalty)
    torch.testing.assert_close(form.leverage(rewards.detach()), -slope)


def synthetic_scores(frame_change, judged=None):
    reward = reward_of(AlignSettings(), penalty_scale=40.0)
    wave = 0.3 * torch.sin(torch.arange(17.0))[None, :, None].expand(len(frame_change), 17, 14)
    breakdown = reward(wave)
    breakdown = replace(breakdown, judged=breakdown.judged if judged is None else torch.tensor(judged))
    return batch([scored(breakdown, {"frame_change": torch.tensor(frame_change)})])


def test_an_alarm_is_told_once_while_it_lasts_and_again_when_it_comes_back():
    watch = SentinelWatch(RewardSettings(num_baseline_steps=2))
    told = [
        [alarm.sentinel for alarm in watch.observe(step, synthetic_scores([change] * 4))]
        for step, change in enumerate([0.02, 0.02, 0.001, 0.001, 0.02, 0.001])
    ]
    assert told == [[], [], ["frozen_video"], [], [], ["frozen_video"]]


def test_a_resumed_watch_goes_on_as_if_nothing_had_happened():
    changes = [0.02, 0.03, 0.001, 0.001]
    whole, first = (SentinelWatch(RewardSettings(num_baseline_steps=2)) for _ in range(2))
    for step, change in enumerate(changes[:3]):
        whole.observe(step, synthetic_scores([change] * 4))
        first.observe(step, synthetic_scores([change] * 4))
    resumed = SentinelWatch(RewardSettings(num_baseline_steps=2))
    resumed.restore(json.loads(json.dumps(first.state())))
    last = synthetic_scores([changes[3]] * 4)
    assert resumed.observe(3, last) == whole.observe(3, last) == []
    assert resumed.metrics() == whole.metrics()
    assert resumed.state() == whole.state()


def test_what_nobody_observed_raises_nothing_and_is_no_metric():
    watch = SentinelWatch(RewardSettings(num_baseline_steps=1))
    watch.observe(0, synthetic_scores([0.02] * 4))
    watch.observe(1, synthetic_scores([0.02] * 4))
    seen = {"frozen_video", "saturated_reward"}  # every rollout that is judged has a reward
    assert set(watch.metrics()) == {
        f"{kind}/{name}" for kind in ("sentinel", "sentinel_value") for name in seen
    }


def test_a_reward_of_limits_alone_is_flat_where_clips_are_clean_and_no_alarm_is_raised():
    watch = SentinelWatch(RewardSettings(preset="limits-only", num_baseline_steps=1))
    watch.observe(0, synthetic_scores([0.02] * 4))
    watch.observe(1, synthetic_scores([0.02] * 4))
    assert "sentinel/saturated_reward" not in watch.metrics()
    assert "sentinel/frozen_video" in watch.metrics()


def test_unjudged_rollouts_are_not_watched():
    watch = SentinelWatch(RewardSettings(num_baseline_steps=1))
    watch.observe(0, synthetic_scores([0.02] * 4))
    nan = float("nan")
    assert watch.observe(1, synthetic_scores([0.02, 0.02, 0.0, nan], [True, True, False, False])) == []


@pytest.mark.parametrize("name", SENTINELS)
def test_every_sentinel_has_its_metrics_and_says_what_it_means(name):
    assert SENTINELS[name].watches
    assert SENTINELS[name].meaning
    declared_metric(f"sentinel/{name}")
    declared_metric(f"sentinel_value/{name}")
