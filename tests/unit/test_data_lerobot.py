"""LeRobot datasets that are not what is assumed are refused by name; written ones hold what LeRobot wants."""

import json

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from eva_rl.data import lerobot_writing
from eva_rl.data.damage import DamagedEpisodeError
from eva_rl.data.formats import read_episode
from eva_rl.data.lerobot_statistics import add_up, picture_statistics, vector_statistics
from eva_rl.data.lerobot_writing import lerobot_writer
from eva_rl.data.listing import EpisodeDirectoryError, list_episodes
from tests.unit.synthetic_episodes import change_table, encode_video, make_episode, write_v21

DATA = "data/chunk-000/episode_000000.parquet"
VIDEO = "videos/chunk-000/observation.images.head_camera/episode_000000.mp4"


@pytest.fixture
def dataset(tmp_path):
    """A dataset of version 2.1 with two episodes, one file each: easy to change."""
    root = tmp_path / "pouring"
    write_v21(root, [make_episode(index=index) for index in range(2)])
    return root


def change_info(root, change):
    file = root / "meta/info.json"
    info = json.loads(file.read_text())
    change(info)
    file.write_text(json.dumps(info))


def problem_of(root, index=0, **options):
    with pytest.raises(DamagedEpisodeError) as error:
        read_episode(list_episodes(root, **options)[index])
    return str(error.value)


def test_a_foreign_datasets_tasks_are_named_after_its_sentences(dataset):
    first, second = list_episodes(dataset)
    assert (first.task, first.episode_id) == ("ring_the_red_bell_number_0", "pouring/episode0")
    assert list_episodes(dataset, tasks=["Ring the red bell number 1."]) == [second]
    assert read_episode(second).seen_instructions == ("ring the red bell number 1",)
    assert str(second).endswith("pouring, episode 1")


def test_the_head_camera_goes_by_its_usual_names_and_others_must_be_named(dataset):
    def rename(info):
        info["features"]["observation.images.cam_high"] = info["features"].pop(
            "observation.images.head_camera"
        )

    change_info(dataset, rename)
    (dataset / "videos/chunk-000/observation.images.head_camera").rename(
        dataset / "videos/chunk-000/observation.images.cam_high"
    )
    for camera in ("head_camera", "cam_high", "observation.images.cam_high"):
        assert read_episode(list_episodes(dataset, camera=camera)[0]).camera == "cam_high"
    assert "it has observation.images.cam_high" in problem_of(dataset, camera="top")


def test_a_robot_that_nobody_knows_must_be_named(dataset):
    change_info(dataset, lambda info: info.update(robot_type="aloha"))
    assert "'aloha', which is no row of EMBODIMENTS" in problem_of(dataset)
    assert read_episode(list_episodes(dataset, embodiment="viperx-300s")[0]).embodiment == "viperx-300s"


def test_other_dimensions_are_answered_with_the_features_that_exist(dataset):
    problem = problem_of_robot(dataset, "franka-panda")
    assert "action must have 16 dimensions for franka-panda (2 arms" in problem
    assert "the dataset has action [14]" in problem


def problem_of_robot(root, robot):
    change_info(root, lambda info: info.update(robot_type=robot))
    return problem_of(root)


@pytest.mark.parametrize("robot", ["so101", None])
def test_a_single_arms_dataset_is_refused_by_one_sentence_that_says_what_to_do(dataset, robot):
    def to_single_arm(info):
        info["robot_type"] = robot
        for name in ("action", "observation.state"):
            info["features"][name].update(shape=[6], names=None)

    change_info(dataset, to_single_arm)
    change_table(
        dataset / DATA,
        lambda columns: (
            columns
            | {name: np.array(columns[name])[:, :6].tolist() for name in ("action", "observation.state")}
        ),
    )
    assert f"recorded with robot {robot!r}, which is no row of EMBODIMENTS" in problem_of(dataset)
    problem = problem_of(dataset, embodiment="piper")
    assert "action must have 14 dimensions for piper (2 arms" in problem
    assert "the dataset has action [6], observation.state [6]" in problem
    assert "name its own robot" in problem


@pytest.mark.parametrize("changes", [{"task": "../../evil"}, {"episode_id": "a/../../b"}, {"task": "/evil"}])
def test_own_names_that_lead_elsewhere_are_not_taken(tmp_path, changes):
    """They become names of directories when the dataset is converted."""
    (own,) = write_dataset(tmp_path / "own", [make_episode()])
    assert (own.task, own.episode_id) == ("click_bell", "click_bell/episode0")
    (ref,) = write_dataset(tmp_path / "evil", [make_episode(**changes)])
    assert (ref.task, ref.episode_id) == ("ring_the_red_bell_number_0", "evil/episode0")


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        ([f"delta_{i}" for i in range(14)], "no absolute joint targets"),
        ({"axes": ["left_x", "left_y", *(f"j{i}" for i in range(12))]}, "no absolute joint targets"),
        (
            ["left_gripper", *(f"j{i}" for i in range(12)), "right_gripper"],
            r"grippers at \[0, 13\].*\[6, 13\]",
        ),
    ],
)
def test_names_that_say_otherwise_are_believed(dataset, names, reason):
    change_info(dataset, lambda info: info["features"]["action"].update(names=names))
    with pytest.raises(DamagedEpisodeError, match=reason):
        read_episode(list_episodes(dataset)[0])


def test_actions_that_are_differences_of_the_joints_are_refused(dataset):
    def to_differences(columns):
        states = np.array(columns["observation.state"])
        columns["action"] = [*np.diff(states, axis=0).tolist(), [0.0] * 14]
        return columns

    change_table(dataset / DATA, to_differences)
    assert "follows the differences of observation.state" in problem_of(dataset)
    assert read_episode(list_episodes(dataset)[1]).num_frames == 6


def test_degrees_are_refused(dataset):
    def to_degrees(columns):
        for name in ("action", "observation.state"):
            columns[name] = np.rad2deg(np.array(columns[name])).tolist()
        return columns

    change_table(dataset / DATA, to_degrees)
    assert "which no joint does in rad" in problem_of(dataset)


def test_a_video_shorter_than_its_rows_is_named_with_the_missing_time(dataset):
    encode_video(dataset / VIDEO, make_episode().frames[:4], rate_hz=5)
    problem = problem_of(dataset)
    assert VIDEO in problem
    assert "no picture within 0.100 s of 0.800 s; its last picture there is at 0.600 s" in problem


def test_a_video_of_another_rate_is_refused(dataset):
    encode_video(dataset / VIDEO, make_episode().frames, rate_hz=10)
    assert "no picture within" in problem_of(dataset)


def test_timestamps_that_do_not_fit_the_rate_are_refused(dataset):
    change_info(dataset, lambda info: info.update(fps=6))
    assert "timestamps do not fit fps 6: frame 3 is at 0.600 s" in problem_of(dataset)


def test_rows_that_are_fewer_than_described_are_named(dataset):
    change_table(dataset / DATA, lambda columns: {name: values[:-1] for name, values in columns.items()})
    assert "has 5 rows, its description says 6" in problem_of(dataset)


def test_a_task_that_nobody_describes_is_named(dataset):
    change_table(dataset / DATA, lambda columns: columns | {"task_index": [7] * 6})
    assert "task_index 7 is not among the dataset's tasks" in problem_of(dataset)


def test_a_missing_column_is_named(dataset):
    change_table(
        dataset / DATA, lambda columns: {name: columns[name] for name in columns if name != "action"}
    )
    assert "action" in problem_of(dataset)


def test_an_unknown_version_is_answered_with_the_known_ones(dataset):
    change_info(dataset, lambda info: info.update(codebase_version="v4.0"))
    with pytest.raises(EpisodeDirectoryError, match=r"'v4.0'; those that are read: v2.0, v2.1, v3.0"):
        list_episodes(dataset)


def test_an_episode_that_the_metadata_forgot_is_not_dropped_silently(dataset):
    file = dataset / "meta/episodes.jsonl"
    file.write_text(file.read_text().splitlines()[0] + "\n")
    with pytest.raises(EpisodeDirectoryError, match=r"total_episodes is 2, but 1 episodes are described"):
        list_episodes(dataset)


def test_a_changed_dataset_is_read_again(dataset):
    assert len(list_episodes(dataset)) == 2
    change_info(dataset, lambda info: info.update(robot_type="piper"))
    assert read_episode(list_episodes(dataset)[0]).embodiment == "piper"


def write_dataset(root, episodes):
    with lerobot_writer(root) as write:
        for episode in episodes:
            write(episode)
    return list_episodes(root)


def test_a_written_dataset_has_the_files_and_figures_that_lerobot_wants(tmp_path):
    root = tmp_path / "new"
    write_dataset(root, [make_episode(index=index) for index in range(3)])
    info = json.loads((root / "meta/info.json").read_text())
    assert (info["codebase_version"], info["fps"], info["total_episodes"], info["total_frames"]) == (
        "v3.0",
        5,
        3,
        18,
    )
    assert info["features"]["action"]["shape"] == [14]
    assert info["features"]["action"]["names"][6] == "left_gripper"
    assert info["features"]["observation.images.head_camera"]["dtype"] == "video"
    rows = pq.read_table(root / "meta/episodes/chunk-000/file-000.parquet").to_pylist()
    assert [row["dataset_from_index"] for row in rows] == [0, 6, 12]
    prefix = "videos/observation.images.head_camera/"
    assert [row[f"{prefix}from_timestamp"] for row in rows] == pytest.approx([0.0, 1.2, 2.4])
    assert [row[f"{prefix}to_timestamp"] for row in rows] == pytest.approx([1.2, 2.4, 3.6])
    frames = pq.read_table(root / "data/chunk-000/file-000.parquet")
    assert frames["index"].to_pylist() == list(range(18))
    assert frames["timestamp"].to_numpy()[:6] == pytest.approx(np.arange(6) / 5)
    tasks = pd.read_parquet(root / "meta/tasks.parquet")
    assert list(tasks.index) == [f"ring the red bell number {index}" for index in range(3)]
    assert list(tasks["task_index"]) == [0, 1, 2]


def test_without_measured_joints_the_state_repeats_the_targets_and_is_not_read_as_measured(tmp_path):
    (ref,) = write_dataset(tmp_path / "new", [make_episode(measured_positions=None)])
    frames = pq.read_table(tmp_path / "new/data/chunk-000/file-000.parquet")
    assert frames["observation.state"].to_pylist() == frames["action"].to_pylist()
    assert read_episode(ref).measured_positions is None


def test_a_large_dataset_is_cut_into_files(tmp_path, monkeypatch):
    monkeypatch.setattr(lerobot_writing, "DATA_FILE_MB", 0)
    monkeypatch.setattr(lerobot_writing, "FILES_PER_CHUNK", 2)
    episodes = [make_episode(index=index) for index in range(5)]
    refs = write_dataset(tmp_path / "new", episodes)
    files = sorted((tmp_path / "new/data").rglob("*.parquet"))
    assert [file.relative_to(tmp_path / "new/data").as_posix() for file in files] == [
        f"chunk-{chunk:03d}/file-{file:03d}.parquet"
        for chunk, file in ((0, 0), (0, 1), (1, 0), (1, 1), (2, 0))
    ]
    for ref, episode in zip(refs, episodes, strict=True):
        np.testing.assert_array_equal(read_episode(ref).actions, episode.actions)


def test_a_frame_rate_need_not_be_a_whole_number(tmp_path):
    written = [make_episode(index=index, rate_hz=250 / 15, num_frames=40) for index in range(3)]
    for ref, episode in zip(write_dataset(tmp_path / "new", written), written, strict=True):
        read = read_episode(ref)
        assert read.frame_rate_hz == episode.frame_rate_hz
        assert np.abs(read.frames.astype(int) - episode.frames).max() < 12


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"frame_rate_hz": 6.0}, "frame rate: 6.0, not 5.0"),
        ({"camera": "front"}, "camera: front, not head_camera"),
        ({"frames": np.zeros((6, 24, 32, 3), np.uint8)}, "frame size"),
        ({"embodiment": "piper"}, "robot: piper, not bimanual"),
    ],
)
def test_episodes_that_differ_cannot_share_a_dataset(tmp_path, changes, reason):
    with pytest.raises(ValueError, match=reason):
        write_dataset(tmp_path / "new", [make_episode(), make_episode(index=1, **changes)])
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_written_over_and_nothing_empty_is_left(tmp_path):
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "note").write_text("mine")
    with pytest.raises(FileExistsError, match="not empty"):
        write_dataset(tmp_path / "new", [make_episode()])
    with pytest.raises(ValueError, match="no episode was written"):
        write_dataset(tmp_path / "other", [])
    assert [path.name for path in tmp_path.iterdir()] == ["new"]


def test_statistics_of_episodes_add_up_to_those_of_all_frames():
    random = np.random.default_rng(0)
    parts = [random.normal(size=(length, 3)) for length in (4, 9, 30)]
    together, whole = add_up([vector_statistics(part) for part in parts]), vector_statistics(np.vstack(parts))
    for name in ("min", "max", "mean", "std", "count"):
        np.testing.assert_allclose(together[name], whole[name])


def test_picture_statistics_are_per_colour_between_0_and_1():
    frames = np.zeros((5, 8, 8, 3), np.uint8)
    frames[..., 0] = 255
    statistics = picture_statistics(frames)
    assert statistics["mean"].shape == (3, 1, 1)
    assert statistics["mean"].ravel().tolist() == [1.0, 0.0, 0.0]
    assert statistics["count"].tolist() == [5.0]
