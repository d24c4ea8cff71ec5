"""Damaged episodes are named and not used, the others are split whole; RoboTwin finds its own layout."""

import dataclasses
import io
import json

import h5py
import numpy as np
import pytest
from PIL import Image

from eva_rl.data.checking import check_episode
from eva_rl.data.damage import DamagedEpisodeError
from eva_rl.data.episodes import split_episodes, survey_episodes
from eva_rl.data.formats import read_episode
from eva_rl.data.listing import EpisodeDirectoryError, list_episodes
from eva_rl.data.robotwin_images import decode_frames, encode_frames
from eva_rl.data.robotwin_legacy import ROBOTWIN_FRAME_RATE_HZ, instruction_path
from tests.unit.synthetic_episodes import make_episode, write_directory


@pytest.fixture
def episode_file(tmp_path):
    (ref,) = write_directory(tmp_path, num_episodes=1)
    return ref, tmp_path / "click_bell" / "embedded" / "data" / "episode0.hdf5"


def test_stored_images_are_red_blue_swapped_for_rgb_decoders_and_rgb_for_robotwin():
    frames = np.zeros((1, 48, 64, 3), dtype=np.uint8)
    frames[:, :, :32, 0] = 255  # left half red
    frames[:, :, 32:, 2] = 255  # right half blue
    stored = encode_frames(frames)
    as_rgb_decoder = np.asarray(Image.open(io.BytesIO(stored[0])))
    as_bgr_decoder = as_rgb_decoder[..., ::-1]  # what cv2.imdecode, and so RoboTwin, makes of the same bytes
    assert as_rgb_decoder[24, 8].argmax() == 2
    assert as_bgr_decoder[24, 8].argmax() == 0
    assert as_bgr_decoder[24, 56].argmax() == 2
    assert np.abs(decode_frames(stored).astype(int) - frames).max() <= 4


def test_robotwin_finds_every_dataset_of_its_legacy_layout(episode_file):
    _, path = episode_file
    written = make_episode()
    with h5py.File(path) as file:
        np.testing.assert_array_equal(file["joint_action/vector"], written.actions)
        np.testing.assert_array_equal(file["joint_action/left_arm"], written.actions[:, :6])
        np.testing.assert_array_equal(file["joint_action/left_gripper"], written.actions[:, 6])
        np.testing.assert_array_equal(file["joint_action/right_arm"], written.actions[:, 7:13])
        np.testing.assert_array_equal(file["joint_action/right_gripper"], written.actions[:, 13])
        assert file["observation/head_camera/rgb"].dtype.kind == "S"
    assert json.loads(instruction_path(path).read_text())["unseen"] == ["hit the crimson bell"]


def test_a_file_of_robotwin_itself_gets_the_true_rate_and_no_scene_seed(episode_file):
    ref, path = episode_file
    with h5py.File(path, "a") as file:
        del file["eva_rl"]
    episode = read_episode(ref)
    assert episode.frame_rate_hz == ROBOTWIN_FRAME_RATE_HZ == pytest.approx(16.67, abs=0.01)
    assert episode.scene_seed is None
    assert episode.measured_positions is None
    assert episode.embodiment == "aloha-agilex"


def test_the_reader_is_told_what_a_file_does_not_state(episode_file):
    _, path = episode_file
    with h5py.File(path, "a") as file:
        del file["eva_rl"]
    (ref,) = list_episodes(path, embodiment="piper", frame_rate_hz=30.0)
    episode = read_episode(ref)
    assert (episode.embodiment, episode.frame_rate_hz) == ("piper", 30.0)


def test_what_a_file_states_counts_more_than_what_the_reader_is_told(episode_file):
    _, path = episode_file
    (ref,) = list_episodes(path, embodiment="piper", frame_rate_hz=30.0)
    episode = read_episode(ref)
    assert (episode.embodiment, episode.frame_rate_hz) == ("bimanual", 5.0)


def damage_by_truncation(path):
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def damage_by_cutting_an_image(path):
    with h5py.File(path, "a") as file:
        images = file["observation/head_camera/rgb"][()]
        del file["observation/head_camera/rgb"]
        file["observation/head_camera/rgb"] = np.array([image[: len(image) // 3] for image in images])


def damage_by_an_image_of_another_size(path):
    with h5py.File(path, "a") as file:
        images = file["observation/head_camera/rgb"][()]
        images[3] = encode_frames(np.zeros((1, 24, 32, 3), np.uint8))[0]
        file["observation/head_camera/rgb"][...] = images


def damage_by_another_layout(path):
    with h5py.File(path, "a") as file:
        del file["joint_action"]


def damage_by_a_lost_frame(path):
    with h5py.File(path, "a") as file:
        images = file["observation/head_camera/rgb"][:-1]
        del file["observation/head_camera/rgb"]
        file["observation/head_camera/rgb"] = images


def damage_by_removing_the_camera(path):
    with h5py.File(path, "a") as file:
        file["observation"].move("head_camera", "front_camera")


def damage_by_text_for_joints(path):
    with h5py.File(path, "a") as file:
        del file["joint_action/vector"]
        file["joint_action/vector"] = np.array([b"left", b"right"])


def damage_the_instructions(path):
    instruction_path(path).write_text("{")


def remove_the_instructions(path):
    instruction_path(path).unlink()


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (damage_by_truncation, "not readable"),
        (damage_by_cutting_an_image, "images of head_camera not readable: frame 0"),
        (damage_by_an_image_of_another_size, r"differ in size: \(48, 64, 3\) and, in frame 3, \(24, 32, 3\)"),
        (damage_by_another_layout, r"no known format.*joint_action/vector.*data_format_version"),
        (damage_by_a_lost_frame, "has 5 images of head_camera, but drive targets for 6 frames"),
        (damage_by_removing_the_camera, "observation/head_camera/rgb; /observation holds front_camera"),
        (damage_by_text_for_joints, "joint_action/vector is .S5 .2., wanted numbers"),
        (damage_the_instructions, "instruction file"),
        (remove_the_instructions, "is missing"),
    ],
)
def test_a_damaged_file_is_named_with_its_reason(episode_file, damage, reason):
    ref, path = episode_file
    damage(path)
    with pytest.raises(DamagedEpisodeError, match=reason) as error:
        read_episode(ref)
    assert str(path) in str(error.value)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"actions": np.full((6, 14), np.nan, dtype=np.float32)}, "not finite"),
        ({"actions": np.zeros((6, 16), dtype=np.float32), "measured_positions": None}, r"wanted \[6, 14\]"),
        ({"actions": np.zeros((4, 14), dtype=np.float32), "measured_positions": None}, r"wanted \[4, height"),
        ({"seen_instructions": ()}, "no seen instruction"),
        ({"unseen_instructions": ("  ",)}, "an instruction is empty"),
        ({"frame_rate_hz": 0.0}, "frame rate"),
    ],
)
def test_an_episode_that_would_poison_training_is_refused(changes, reason):
    episode = dataclasses.replace(make_episode(), **changes)
    with pytest.raises(DamagedEpisodeError, match=reason):
        check_episode(episode, num_dimensions=14)


def test_the_survey_counts_damaged_files_and_keeps_the_others(tmp_path):
    refs = write_directory(tmp_path, tasks=("click_bell", "grab_roller"))
    with open(refs[1].path, "r+b") as file:
        file.truncate(1000)
    survey = survey_episodes(refs, num_dimensions=14, max_damaged_share=0.2)
    assert survey.usable == tuple(ref for ref in refs if ref != refs[1])
    assert list(survey.damaged) == [refs[1].path]
    assert survey.num_episodes_per_task == {"click_bell": 2, "grab_roller": 3}
    assert survey.num_frames == 5 * 6


def test_too_many_damaged_files_refuse_the_directory(tmp_path):
    refs = write_directory(tmp_path)
    with open(refs[1].path, "r+b") as file:
        file.truncate(1000)
    with pytest.raises(EpisodeDirectoryError, match=r"1 of 3 episodes are damaged.*max_damaged_share"):
        survey_episodes(refs, num_dimensions=14, max_damaged_share=0.2)


def test_the_split_holds_out_whole_episodes_of_every_task(tmp_path):
    refs = write_directory(tmp_path, tasks=("click_bell", "grab_roller"), num_episodes=10)
    training, held_out = split_episodes(refs, held_out_share=0.2, seed=0)
    assert sorted(training + held_out, key=refs.index) == refs
    assert [ref.task for ref in held_out] == ["click_bell"] * 2 + ["grab_roller"] * 2
    assert split_episodes(refs, held_out_share=0.2, seed=0) == (training, held_out)
    assert split_episodes(refs, held_out_share=0.2, seed=1) != (training, held_out)


def test_tasks_with_a_single_episode_are_held_out_as_one_task(tmp_path):
    """Datasets that describe every episode in words of its own would else leave nothing to learn from."""
    tasks = tuple(f"task{number}" for number in range(10))
    refs = write_directory(tmp_path, tasks=tasks, num_episodes=1)
    training, held_out = split_episodes(refs, held_out_share=0.2, seed=0)
    assert (len(training), len(held_out)) == (8, 2)
