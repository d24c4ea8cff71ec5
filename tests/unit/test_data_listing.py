"""Whatever lies below a directory is listed once, in a fixed order, under names that differ."""

import shutil
from dataclasses import replace

import pytest

from eva_rl.data.formats import read_episode
from eva_rl.data.listing import EpisodeDirectoryError, list_episodes
from tests.unit.synthetic_episodes import make_episode, write_directory, write_v21


def test_episodes_are_listed_by_number_and_unfinished_files_are_not(tmp_path):
    refs = write_directory(tmp_path, num_episodes=11)
    (tmp_path / "click_bell" / "embedded" / "data" / "episode0.partial7").write_bytes(b"")
    assert [ref.episode_id for ref in list_episodes(tmp_path)] == [
        f"click_bell/episode{i}" for i in range(11)
    ]
    assert list_episodes(tmp_path) == refs


def test_a_task_without_episodes_is_named(tmp_path):
    write_directory(tmp_path)
    with pytest.raises(EpisodeDirectoryError, match=r"no episodes of grab_roller.*tasks found: click_bell"):
        list_episodes(tmp_path, tasks=("click_bell", "grab_roller"))


def test_only_the_wanted_tasks_are_listed(tmp_path):
    write_directory(tmp_path, tasks=("click_bell", "grab_roller"))
    assert {ref.task for ref in list_episodes(tmp_path, tasks=("grab_roller",))} == {"grab_roller"}


def test_the_first_episodes_of_each_task_are_listed(tmp_path):
    write_directory(tmp_path, tasks=("click_bell", "grab_roller"), num_episodes=11)
    found = [ref.episode_id for ref in list_episodes(tmp_path, max_per_task=3)]
    assert found == [f"{task}/episode{i}" for task in ("click_bell", "grab_roller") for i in range(3)]


def test_an_empty_and_an_absent_directory_are_refused_by_name(tmp_path):
    with pytest.raises(EpisodeDirectoryError, match="no episodes of any task"):
        list_episodes(tmp_path)
    with pytest.raises(EpisodeDirectoryError, match=r"absent does not exist"):
        list_episodes(tmp_path / "absent")


def test_two_recordings_of_one_task_have_different_ids(tmp_path):
    write_directory(tmp_path, num_episodes=2, task_config="demo_clean")
    refs = write_directory(tmp_path, num_episodes=2, task_config="demo_randomized")
    assert [ref.episode_id for ref in refs] == [
        f"click_bell/{config}/episode{index}"
        for config in ("demo_clean", "demo_randomized")
        for index in (0, 1)
    ]


def test_a_single_file_is_an_episode(tmp_path):
    refs = write_directory(tmp_path)
    assert list_episodes(refs[2].path) == [replace(refs[2], root=None)]


def test_formats_may_lie_side_by_side(tmp_path):
    write_directory(tmp_path / "robotwin", num_episodes=2)
    write_v21(tmp_path / "pouring", [make_episode(index=index) for index in range(3)])
    refs = list_episodes(tmp_path)
    assert [ref.task for ref in refs] == [
        *["click_bell"] * 2,
        *(f"ring_the_red_bell_number_{index}" for index in range(3)),
    ]
    assert [ref.index for ref in refs] == [None, None, 0, 1, 2]
    assert len({ref.episode_id for ref in refs}) == 5
    assert all(read_episode(ref).num_frames == 6 for ref in refs)


def test_datasets_of_one_name_in_two_places_have_different_ids(tmp_path):
    write_v21(tmp_path / "a" / "pouring", [make_episode()])
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    assert len({ref.episode_id for ref in list_episodes(tmp_path)}) == 2
