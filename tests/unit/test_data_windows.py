"""Windows have the model's rate and length, and conditions depend on nothing but their window."""

import dataclasses

import numpy as np
import pytest

from eva_rl.actors.evidence import known_evidence
from eva_rl.data.conditions import conditions_from_windows
from eva_rl.data.statistics import ActionStatistics
from eva_rl.data.stored_episode import StoredEpisode
from eva_rl.data.windows import WindowShape, resize_frames, windows_of
from eva_rl.records.episode import Episode

EMBEDDED = WindowShape(num_frames=17, frame_rate_hz=5.0, height=48, width=64, stride_s=3.2)


def episode_at(rate_hz, *, duration_s, unseen=("hit the crimson bell",)):
    """Frame brightness and every joint grow with time, so that a window tells which moment it shows."""
    times = np.arange(round(duration_s * rate_hz) + 1) / rate_hz
    frames = np.broadcast_to((times * 20)[:, None, None, None], (len(times), 48, 64, 3)).astype(np.uint8)
    return Episode(
        episode_id="click_bell/episode0",
        task="click_bell",
        frames=frames,
        actions=np.repeat(times[:, None], 14, axis=1).astype(np.float32),
        measured_positions=None,
        seen_instructions=("ring the red bell", "press the red bell", "touch the red bell"),
        unseen_instructions=unseen,
        frame_rate_hz=rate_hz,
        camera="head_camera",
        embodiment="bimanual",
        scene_seed=3,
        source="",
    )


def test_an_episode_of_the_models_own_shape_is_one_unchanged_window():
    episode = episode_at(5.0, duration_s=3.2)
    (window,) = windows_of(episode, shape=EMBEDDED)
    np.testing.assert_array_equal(window.frames, episode.frames)
    np.testing.assert_allclose(window.actions, episode.actions, atol=1e-6)
    assert window.window_id == episode.episode_id


def test_resampling_keeps_real_time_whatever_the_recorded_rate():
    for rate_hz in (10.0, 250 / 15, 50.0):
        window = windows_of(episode_at(rate_hz, duration_s=3.3), shape=EMBEDDED)[0]
        np.testing.assert_allclose(window.actions[:, 0], np.arange(17) / 5.0, atol=1e-5)
        shown_s = window.frames[:, 0, 0, 0] / 20
        assert np.abs(shown_s - np.arange(17) / 5.0).max() <= 0.5 / rate_hz + 1 / 20


def test_windows_start_at_multiples_of_the_stride_and_stay_inside_the_episode():
    shape = dataclasses.replace(EMBEDDED, stride_s=0.8)
    windows = windows_of(episode_at(10.0, duration_s=5.0), shape=shape)
    assert [window.start_s for window in windows] == pytest.approx([0.0, 0.8, 1.6])
    assert windows[-1].actions[-1, 0] == pytest.approx(1.6 + 3.2)


def test_only_the_window_at_the_start_can_rebuild_its_scene():
    shape = dataclasses.replace(EMBEDDED, stride_s=0.8)
    windows = windows_of(episode_at(10.0, duration_s=5.0), shape=shape)
    assert [window.scene_seed for window in windows] == [3, None, None]
    assert len({window.window_id for window in windows}) == 3


def test_an_episode_shorter_than_a_window_gives_none():
    assert windows_of(episode_at(5.0, duration_s=3.0), shape=EMBEDDED) == []


def test_resizing_averages_areas_and_refuses_to_stretch():
    checkerboard = np.indices((96, 128)).sum(axis=0) % 2 * 200
    frames = np.repeat(checkerboard[None, ..., None], 3, axis=-1).astype(np.uint8)
    assert set(np.unique(resize_frames(frames, height=48, width=64))) == {100}
    with pytest.raises(ValueError, match=r"48x48 would stretch frames of 96x128.*48x64"):
        resize_frames(frames, height=48, width=48)


def test_an_episode_that_would_be_stretched_is_named():
    square = dataclasses.replace(EMBEDDED, height=48, width=48)
    episode = dataclasses.replace(episode_at(5.0, duration_s=3.2), source="demos/episode0.hdf5")
    with pytest.raises(ValueError, match=r"demos/episode0.hdf5: .*would stretch frames of 48x64"):
        windows_of(episode, shape=square)


def test_only_frames_that_are_shown_are_decoded():
    episode, decoded = episode_at(10.0, duration_s=7.0), []

    def decode(indices):
        decoded.extend(indices)
        return (episode.frames[index] for index in indices)

    windows = windows_of(
        StoredEpisode(header=episode, decode=decode, check_pictures=lambda: None), shape=EMBEDDED, first=1
    )
    assert [window.start_s for window in windows] == [3.2]
    assert decoded == list(range(32, 65, 2))
    np.testing.assert_array_equal(windows[0].frames, windows_of(episode, shape=EMBEDDED)[1].frames)


def test_a_condition_is_the_start_of_its_window():
    (window,) = windows_of(episode_at(5.0, duration_s=3.2), shape=EMBEDDED)
    (condition,) = conditions_from_windows([window], seed=0)
    np.testing.assert_array_equal(condition.first_frame, window.frames[0])
    np.testing.assert_array_equal(condition.start_joints, window.actions[0])
    assert condition.condition_id == "click_bell/episode0/seen"
    assert condition.instruction in window.seen_instructions
    assert (condition.scene_seed, condition.num_frames, condition.frame_rate_hz) == (3, 17, 5.0)
    np.testing.assert_array_equal(condition.demonstrated_actions, window.actions)


def test_the_reward_knows_the_demonstration_and_how_far_its_arms_travel():
    (window,) = windows_of(episode_at(5.0, duration_s=3.2), shape=EMBEDDED)
    (condition,) = conditions_from_windows([window], seed=0)
    known = known_evidence(condition)
    assert known.demonstration.tolist() == [window.actions.tolist()]
    assert known.path_length.item() == pytest.approx(12 * 3.2)  # 12 joints at 1 rad/s; no grippers
    bare = known_evidence(dataclasses.replace(condition, demonstrated_actions=None))
    assert (bare.demonstration, bare.path_length) == (None, None)


def test_the_instruction_depends_on_seed_and_window_alone():
    (window,) = windows_of(episode_at(5.0, duration_s=3.2), shape=EMBEDDED)
    others = [dataclasses.replace(window, window_id=f"click_bell/episode{index}") for index in range(1, 30)]
    alone = conditions_from_windows([window], seed=4)[0]
    among_others = conditions_from_windows([*others, window], seed=4)[-1]
    assert among_others.instruction == alone.instruction
    drawn = {condition.instruction for condition in conditions_from_windows(others, seed=4)}
    assert drawn == set(window.seen_instructions)


def test_unseen_instructions_are_drawn_with_the_share_asked_for():
    (window,) = windows_of(episode_at(5.0, duration_s=3.2), shape=EMBEDDED)
    windows = [dataclasses.replace(window, window_id=f"episode{index}") for index in range(400)]
    conditions = conditions_from_windows(windows, seed=0, unseen_instruction_share=0.25)
    num_unseen = sum(condition.instruction == "hit the crimson bell" for condition in conditions)
    assert 70 <= num_unseen <= 130
    assert num_unseen == sum(condition.condition_id.endswith("/unseen") for condition in conditions)


def test_a_missing_kind_of_instruction_is_an_error_that_names_the_setting():
    (window,) = windows_of(episode_at(5.0, duration_s=3.2, unseen=()), shape=EMBEDDED)
    with pytest.raises(ValueError, match=r"no unseen instruction.*data.unseen_instruction_share is 1"):
        conditions_from_windows([window], seed=0, unseen_instruction_share=1.0)


def test_action_statistics_of_a_known_distribution():
    actions = np.stack([np.linspace(0, 1, 1001), np.full(1001, 7.0)], axis=1).astype(np.float32)
    statistics = ActionStatistics.from_actions(actions.reshape(7, 143, 2), quantile=0.1)
    np.testing.assert_allclose(statistics.mean, [0.5, 7.0], atol=1e-6)
    np.testing.assert_allclose(statistics.std, [1001 / 1000 / np.sqrt(12), 0.0], atol=1e-3)
    np.testing.assert_allclose(statistics.lower, [0.1, 7.0], atol=1e-6)
    np.testing.assert_allclose(statistics.upper, [0.9, 7.0], atol=1e-6)
    assert statistics.num_frames == 1001


def test_a_condition_remembers_the_frames_that_its_clip_begins_with():
    window = windows_of(episode_at(5.0, duration_s=4.0), shape=EMBEDDED)[0]
    (condition,) = conditions_from_windows([window], seed=0, num_history_frames=5)
    assert condition.history is not None
    np.testing.assert_array_equal(condition.history, window.frames[:5])
    np.testing.assert_array_equal(condition.history[0], condition.first_frame)
    assert conditions_from_windows([window], seed=0)[0].history is None


def test_a_history_as_long_as_the_clip_leaves_nothing_to_imagine():
    window = windows_of(episode_at(5.0, duration_s=4.0), shape=EMBEDDED)[0]
    with pytest.raises(
        ValueError, match=r"is given 17 video frames, .* has 17 in all: raise video.num_frames"
    ):
        conditions_from_windows([window], seed=0, num_history_frames=17)
