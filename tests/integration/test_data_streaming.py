"""Ray Data streams every window once, in an order that a seed fixes, and goes on from anywhere."""

import dataclasses
import json

import h5py
import numpy as np
import pytest
import ray
from ray._private.internal_api import memory_summary

from eva_rl.config.data import DataSettings
from eva_rl.config.video import RobotSettings
from eva_rl.data.cursor import WindowCursor
from eva_rl.data.demonstrations import survey_demonstrations
from eva_rl.data.episodes import one_after_the_other
from eva_rl.data.formats import EPISODE_FORMATS
from eva_rl.data.listing import list_episodes
from eva_rl.data.ray_pipeline import find_in_parallel, stream_windows, windows_from_rows
from eva_rl.data.robotwin_legacy import episode_path, write_episode
from eva_rl.data.windows import WindowShape
from tests.unit.object_store import served
from tests.unit.synthetic_episodes import make_episode, write_directory, write_v21

pytestmark = pytest.mark.integration
SHAPE = WindowShape(num_frames=5, frame_rate_hz=5.0, height=48, width=64, stride_s=0.8)
NUM_EPISODES = 12


def nine_frames(index, **changes):
    """An episode of two windows whose every figure is its number; every third one is too short for any."""
    num_frames = 3 if index % 3 == 2 else 9
    return make_episode(
        index=index,
        num_frames=num_frames,
        frames=np.full((num_frames, 48, 64, 3), index, dtype=np.uint8),
        actions=np.full((num_frames, 14), index / 10, dtype=np.float32),
        scene_seed=None if index == 0 else index,
        **changes,
    )


@pytest.fixture(scope="module")
def refs(tmp_path_factory):
    root = tmp_path_factory.mktemp("episodes")
    for index in range(NUM_EPISODES):
        path = episode_path(root, "click_bell", task_config="embedded", index=index)
        write_episode(path, nine_frames(index))
    return list_episodes(root)


def ids_of(refs, **options):
    return [row["window_id"] for row in stream_windows(refs, shape=SHAPE, **options).iter_rows()]


def test_windows_arrive_once_in_the_order_of_the_episodes(local_ray, refs):
    numbers = [index for index in range(NUM_EPISODES) if index % 3 != 2]
    expected = [f"click_bell/episode{index}{end}" for index in numbers for end in ("", "/800ms")]
    assert ids_of(refs) == expected
    assert ids_of(refs, episodes_per_block=2) == expected


def test_a_seed_fixes_the_shuffled_order_whatever_the_block_size(local_ray, refs):
    order = ids_of(refs, shuffle_seed=1, episodes_per_block=1)
    assert order == ids_of(refs, shuffle_seed=1, episodes_per_block=5)
    assert order != ids_of(refs, shuffle_seed=2, episodes_per_block=5)
    assert sorted(order) == sorted(ids_of(refs))


def test_a_stream_goes_on_exactly_behind_any_row(local_ray, refs):
    start = WindowCursor.at_start(refs, seed=1, epoch=3)
    rows = list(stream_windows(refs, shape=SHAPE, start=start).iter_rows())
    assert len(rows) == 16
    for number in (0, 1, 6, 15):
        saved = json.dumps(dataclasses.asdict(start.after(rows[number])))
        rest = ids_of(refs, start=WindowCursor(**json.loads(saved)))
        assert rest == [row["window_id"] for row in rows[number + 1 :]]


def test_an_epoch_after_the_last_row_is_another_order_of_the_same_windows(local_ray, refs):
    start = WindowCursor.at_start(refs, seed=1)
    first, second = ids_of(refs, start=start), ids_of(refs, start=start.next_epoch())
    assert first == ids_of(refs, shuffle_seed=1)
    assert sorted(first) == sorted(second)
    assert first != second


def test_what_was_consumed_is_not_read_again(local_ray, refs, tmp_path):
    """The files of consumed episodes may be gone."""
    start = WindowCursor.at_start(refs, seed=1)
    rows = list(stream_windows(refs, shape=SHAPE, start=start).iter_rows())
    cursor = start.after(rows[7])
    moved = [dataclasses.replace(ref, path=str(tmp_path / "gone")) for ref in refs]
    remaining = {ref.episode_id for _, ref, _ in cursor.remaining(refs)}
    mixed = [ref if ref.episode_id in remaining else gone for ref, gone in zip(refs, moved, strict=True)]
    assert ids_of(mixed, start=cursor) == [row["window_id"] for row in rows[8:]]


def test_a_cursor_and_another_seed_contradict_each_other(local_ray, refs):
    with pytest.raises(ValueError, match="shuffle_seed is 2, but the cursor's seed is 1"):
        stream_windows(refs, shape=SHAPE, shuffle_seed=2, start=WindowCursor.at_start(refs, seed=1))


def test_rows_become_the_records_that_were_windowed(local_ray, refs):
    windows = windows_from_rows(stream_windows(refs, shape=SHAPE).iter_rows())
    assert [window.scene_seed for window in windows[:4]] == [None, None, 1, None]
    assert windows[3].window_id == "click_bell/episode1/800ms"
    assert windows[3].frames.shape == (5, 48, 64, 3)
    assert windows[3].seen_instructions == ("ring the red bell number 1", "press the red bell")
    np.testing.assert_array_equal(windows[3].actions, np.full((5, 14), 0.1, dtype=np.float32))


def test_batches_hold_stacked_arrays(local_ray, refs):
    sizes = [
        batch["frames"].shape
        for batch in stream_windows(refs, shape=SHAPE).iter_batches(batch_size=6, batch_format="numpy")
    ]
    assert sizes == [(6, 5, 48, 64, 3), (6, 5, 48, 64, 3), (4, 5, 48, 64, 3)]


def test_a_file_damaged_after_the_survey_stops_the_stream_by_name(local_ray, refs, tmp_path):
    (broken,) = write_directory(tmp_path, num_episodes=1)
    with open(broken.path, "wb") as file:
        file.write(b"no HDF5 file")
    with pytest.raises(Exception, match=f"{broken.path}: not readable"):
        ids_of([*refs, broken])


def test_joints_damaged_after_the_survey_stop_the_stream_by_name(local_ray, tmp_path):
    (broken,) = write_directory(tmp_path, num_episodes=1)
    with h5py.File(broken.path, "a") as file:
        file["joint_action/vector"][2, 3] = np.nan
    with pytest.raises(
        Exception, match=f"{broken.path}: actions are not finite .frame 2, dimension 3 is nan"
    ):
        ids_of([broken])


def write_format(name, root, episodes):
    writer = EPISODE_FORMATS[name].writer
    if writer is None:
        write_v21(root, episodes)
        return
    with writer(root) as write:
        for episode in episodes:
            write(episode)


@pytest.mark.parametrize("name", EPISODE_FORMATS)
def test_a_directory_alone_decides_what_a_run_learns_from(local_ray, tmp_path, name):
    """The settings of a recipe name a directory; its format is found out."""
    root = tmp_path / "demos"
    episodes = [make_episode(index=index, seen_instructions=("click bell", f"{index}")) for index in range(3)]
    write_format(name, root, episodes)  # foreign datasets name a task by a sentence
    data = DataSettings.model_validate({"directory": root})
    survey = survey_demonstrations(data.directory, data=data, robot=RobotSettings(tasks=("click_bell",)))
    assert survey.num_episodes_per_task == {"click_bell": 3}
    windows = windows_from_rows(stream_windows(survey.usable, shape=SHAPE, shuffle_seed=0).iter_rows())
    assert len(windows) == 3
    wanted = sorted(episode.actions[:5].tolist() for episode in episodes)
    np.testing.assert_allclose(sorted(window.actions.tolist() for window in windows), wanted, atol=1e-6)


def test_episodes_are_streamed_out_of_an_object_store(local_ray, tmp_path):
    write_directory(tmp_path / "demos")
    with served(tmp_path) as bucket:
        refs = list_episodes(bucket.replace("?", "/demos?"))
        assert ids_of(refs) == [f"click_bell/episode{index}" for index in range(3)]


def test_episodes_are_checked_in_parallel_as_one_after_the_other(local_ray, tmp_path):
    refs = write_directory(tmp_path, num_episodes=5)
    with open(refs[3].path, "r+b") as file:
        file.truncate(500)
    assert list(find_in_parallel(refs, 14)) == list(one_after_the_other(refs, 14))
    quick = list(find_in_parallel(refs, 14, decodes_all=False))
    assert [finding.problem is None for finding in quick] == [True, True, True, False, True]


def test_memory_stays_bounded_on_a_dataset_several_times_the_object_store(local_ray, tmp_path):
    """0.9 GB of windows through a store of 256 MB: nothing is spilled, every window arrives."""
    large = WindowShape(num_frames=9, frame_rate_hz=5.0, height=192, width=256, stride_s=0.2)
    path = episode_path(tmp_path, "click_bell", task_config="embedded", index=0)
    write_episode(path, make_episode(num_frames=48))
    (ref,) = list_episodes(tmp_path)
    num_copies = 18
    stream = stream_windows([ref] * num_copies, shape=large, episodes_per_block=2)
    num_windows = num_bytes = 0
    for batch in stream.iter_batches(batch_size=16, batch_format="numpy"):
        num_windows += len(batch["frames"])
        num_bytes += batch["frames"].nbytes
    assert num_windows == 40 * num_copies
    assert num_bytes > 3.5 * 256 * 2**20
    summary = memory_summary(ray.get_runtime_context().gcs_address, stats_only=True)
    assert "Plasma memory usage" in summary
    assert "Spilled" not in summary
