"""What every row of EPISODE_FORMATS promises; a new row is tested by being in the table."""

import dataclasses
import shutil

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eva_rl.data.checking import find_out
from eva_rl.data.conversion import convert_episodes
from eva_rl.data.damage import DamagedEpisodeError
from eva_rl.data.episodes import survey_episodes
from eva_rl.data.formats import EPISODE_FORMATS, detect_format, open_container, open_episode, read_episode
from eva_rl.data.listing import EpisodeDirectoryError, list_episodes
from eva_rl.data.windows import WindowShape, windows_of
from tests.unit.synthetic_episodes import NUM_FRAMES, make_episode, red_and_blue, write_directory, write_v21

WRITTEN_BY_HAND = {"lerobot-v2": write_v21}
"""Formats that are only read need a test that writes them."""

KEEPS_EVERYTHING = {name for name, row in EPISODE_FORMATS.items() if row.writer is not None}
SHAPE = WindowShape(num_frames=3, frame_rate_hz=2.5, height=24, width=32, stride_s=0.2)
every_format = pytest.mark.parametrize("name", EPISODE_FORMATS)


def write(name, root, episodes):
    writer = EPISODE_FORMATS[name].writer
    if writer is None:
        WRITTEN_BY_HAND[name](root, episodes)
        return list_episodes(root)
    with writer(root) as write_one:
        for episode in episodes:
            write_one(episode)
    return list_episodes(root)


def three_episodes():
    return [make_episode(index=index) for index in range(3)]


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    """One directory of three episodes per format; tests that change files copy it first."""
    root = tmp_path_factory.mktemp("formats")
    for name in EPISODE_FORMATS:
        write(name, root / name, three_episodes())
    return root


@every_format
def test_a_format_is_told_by_its_content_alone(name, samples, tmp_path):
    moved = tmp_path / "some" / "place"
    shutil.copytree(samples / name, moved)
    for number, file in enumerate(sorted(moved.rglob("*.hdf5"))):
        file.rename(file.with_name(f"whatever{number}.h5"))
        for folder in ("instructions", "instruction"):
            texts = file.parent.parent / folder / f"{file.stem}.json"
            if texts.exists():
                texts.rename(texts.with_name(f"whatever{number}.json"))
    refs = list_episodes(moved)
    assert len(refs) == 3
    assert {detect_format(ref) for ref in refs} == {name}


@every_format
def test_no_other_format_recognises_it(name, samples):
    ref = list_episodes(samples / name)[0]
    with open_container(ref) as container:
        assert [other for other, row in EPISODE_FORMATS.items() if row.recognises(container)] == [name]


@every_format
def test_an_episode_is_read_back_as_it_was_written(name, samples):
    for written, ref in zip(three_episodes(), list_episodes(samples / name), strict=True):
        read = read_episode(ref)
        np.testing.assert_array_equal(read.actions, written.actions)
        np.testing.assert_array_equal(read.measured_positions, written.measured_positions)
        assert read.frames.shape == written.frames.shape
        assert np.abs(read.frames.astype(int) - written.frames).mean() < 1.5
        assert read.seen_instructions[0] == written.seen_instructions[0]
        assert (read.frame_rate_hz, read.camera, read.embodiment) == (5.0, "head_camera", "bimanual")
        assert read.source == str(ref)
        if name in KEEPS_EVERYTHING:
            assert read.task == written.task
            assert read.seen_instructions == written.seen_instructions
            assert read.unseen_instructions == written.unseen_instructions
            assert read.scene_seed == written.scene_seed


@every_format
def test_red_stays_red_and_blue_stays_blue(name, tmp_path):
    (ref,) = write(name, tmp_path / name, [red_and_blue()])
    frames = read_episode(ref).frames
    assert (frames[:, 24, 8].argmax(axis=-1) == 0).all()
    assert (frames[:, 24, 56].argmax(axis=-1) == 2).all()
    assert np.abs(frames.astype(int) - red_and_blue().frames).max() < 30


@every_format
def test_single_frames_are_those_of_the_whole_episode(name, samples):
    for ref in list_episodes(samples / name):
        stored, frames = open_episode(ref), read_episode(ref).frames
        for indices in ([0], [NUM_FRAMES - 1], [1, 4], [0, 2, 3, 5]):
            np.testing.assert_array_equal(np.stack(list(stored.decode(indices))), frames[indices])
        assert list(stored.decode([])) == []


@every_format
def test_the_source_names_bytes_that_exist(name, samples):
    for ref in list_episodes(samples / name):
        for place in read_episode(ref).byte_ranges:
            file = samples.joinpath(place.path)
            assert file.is_relative_to(samples / name)
            assert 0 <= place.first < place.end <= file.stat().st_size


@every_format
def test_windows_are_the_same_whatever_the_format(name, samples):
    for written, ref in zip(three_episodes(), list_episodes(samples / name), strict=True):
        wanted = windows_of(written, shape=SHAPE)
        got = windows_of(open_episode(ref), shape=SHAPE)
        assert len(got) == len(wanted) == 2
        for one, other in zip(got, wanted, strict=True):
            np.testing.assert_array_equal(one.actions, other.actions)
            assert np.abs(one.frames.astype(int) - other.frames).max() < 12


@every_format
def test_a_survey_finds_all_of_them_usable(name, samples):
    survey = survey_episodes(list_episodes(samples / name), num_dimensions=14)
    assert (len(survey.usable), survey.num_frames, survey.damaged) == (3, 3 * NUM_FRAMES, {})


@every_format
def test_a_camera_that_is_not_there_is_answered_with_those_that_are(name, samples):
    ref = list_episodes(samples / name, camera="wrist")[0]
    with pytest.raises(DamagedEpisodeError, match=r"wrist.*(head_camera|cam_head)") as error:
        read_episode(ref)
    assert error.value.path == str(ref)


@every_format
@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"actions": np.full((NUM_FRAMES, 14), np.nan, np.float32)}, "actions are not finite"),
        ({"measured_positions": np.full((NUM_FRAMES, 14), np.nan, np.float32)}, "not finite"),
        ({"seen_instructions": ("",), "unseen_instructions": ()}, "instruction is empty"),
    ],
)
def test_an_episode_that_would_poison_training_is_named(name, changes, problem, tmp_path):
    (ref,) = write(name, tmp_path / name, [make_episode(**changes)])
    finding = find_out(ref, num_dimensions=14)
    assert finding.problem is not None
    assert problem in finding.problem


@every_format
def test_another_robots_joint_count_is_named(name, samples):
    finding = find_out(list_episodes(samples / name)[0], num_dimensions=16)
    assert finding.problem == "actions have shape (6, 14), wanted [6, 16]"


@every_format
def test_mixed_frame_rates_are_refused_unless_allowed(name, tmp_path):
    write(name, tmp_path / "a", [make_episode()])
    write(name, tmp_path / "b", [make_episode(rate_hz=10.0)])
    refs = list_episodes(tmp_path)
    with pytest.raises(EpisodeDirectoryError, match="5 Hz in 1 episodes, 10 Hz in 1 episodes"):
        survey_episodes(refs, num_dimensions=14)
    assert len(survey_episodes(refs, num_dimensions=14, are_mixed_rates_allowed=True).usable) == 2


@pytest.mark.parametrize("target", [name for name, row in EPISODE_FORMATS.items() if row.writer])
@every_format
def test_every_format_converts_into_every_writable_one(name, target, samples, tmp_path):
    refs = list_episodes(samples / name)
    assert [problem for _, problem in convert_episodes(refs, tmp_path / "new", to=target)] == [None] * 3
    for old, new in zip(refs, list_episodes(tmp_path / "new"), strict=True):
        before, after = read_episode(old), read_episode(new)
        np.testing.assert_array_equal(after.actions, before.actions)
        np.testing.assert_array_equal(after.measured_positions, before.measured_positions)
        assert np.abs(after.frames.astype(int) - before.frames).mean() < 1.5
        assert after.seen_instructions == before.seen_instructions
        assert (after.task, after.frame_rate_hz) == (before.task, before.frame_rate_hz)


@pytest.mark.parametrize("target", [name for name, row in EPISODE_FORMATS.items() if row.writer])
def test_whichever_camera_was_read_becomes_the_head_camera(target, tmp_path):
    write_directory(tmp_path / "old", num_episodes=1, camera="front_camera")
    refs = list_episodes(tmp_path / "old", camera="front_camera")
    assert [problem for _, problem in convert_episodes(refs, tmp_path / "new", to=target)] == [None]
    (ref,) = list_episodes(tmp_path / "new")
    assert read_episode(ref).frames.shape == (NUM_FRAMES, 48, 64, 3)


@pytest.mark.parametrize("target", [name for name, row in EPISODE_FORMATS.items() if row.writer])
def test_damaged_episodes_are_left_out_of_a_conversion_by_name(target, tmp_path):
    refs = write_directory(tmp_path / "old")
    with open(refs[1].path, "r+b") as file:
        file.truncate(2000)
    outcomes = list(convert_episodes(refs, tmp_path / "new", to=target))
    assert [problem is None for _, problem in outcomes] == [True, False, True]
    assert refs[1].path in outcomes[1][1]
    assert len(list_episodes(tmp_path / "new")) == 2


def files_of(root):
    """Every file but LeRobot's statistics, which are for its own trainings."""
    files = [file.relative_to(root) for file in root.rglob("*") if file.is_file()]
    return sorted(file for file in files if file.name != "stats.json")


def outcome_of(root):
    """Findings of whatever is still listed, or the refusal of the whole directory."""
    try:
        refs = list_episodes(root)
    except EpisodeDirectoryError as error:
        return error
    quick = [find_out(ref, num_dimensions=14, decodes_all=False) for ref in refs]
    whole = [find_out(ref, num_dimensions=14) for ref in refs]
    # What headers alone refuse, decoding refuses too.
    assert not [one for one, other in zip(quick, whole, strict=True) if one.problem and not other.problem]
    return whole


def is_named_or_whole(outcome, root):
    """Nothing crashed; every episode is there, each either complete or with a reason."""
    if isinstance(outcome, EpisodeDirectoryError):
        assert str(root) in str(outcome)
        return
    for finding in outcome:
        assert finding.problem or finding.num_frames == NUM_FRAMES


@every_format
@pytest.mark.parametrize("damage", ["emptied", "halved", "garbage"])
def test_damage_to_any_file_is_named_and_no_episode_vanishes(name, damage, samples, tmp_path):
    for number, file in enumerate(files_of(samples / name)):
        root = tmp_path / str(number)
        shutil.copytree(samples / name, root)
        content = (root / file).read_bytes()
        changed = {"emptied": b"", "halved": content[: len(content) // 2], "garbage": b"\xff\0garbage" * 50}
        (root / file).write_bytes(changed[damage])
        outcome = outcome_of(root)
        is_named_or_whole(outcome, root)
        if isinstance(outcome, list):
            assert len(outcome) == 3, file
            assert any(finding.problem for finding in outcome), file


@every_format
def test_a_missing_file_is_named_unless_nothing_refers_to_it(name, samples, tmp_path):
    for number, file in enumerate(files_of(samples / name)):
        root = tmp_path / str(number)
        shutil.copytree(samples / name, root)
        (root / file).unlink()
        outcome = outcome_of(root)
        if file.suffix == ".hdf5":
            assert [finding.problem for finding in outcome] == [None, None]
        elif name == "robotwin-v1":  # the episode holds its instructions too
            assert [finding.problem for finding in outcome] == [None, None, None]
        elif isinstance(outcome, list):
            assert len(outcome) == 3, file
            assert any(finding.problem for finding in outcome), file


@every_format
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_flipped_bytes_are_named_or_harmless(name, data, samples, tmp_path):
    root = tmp_path / "flipped"
    shutil.rmtree(root, ignore_errors=True)
    shutil.copytree(samples / name, root)
    files = sorted(file for file in root.rglob("*") if file.is_file())
    file = data.draw(st.sampled_from(files))
    content = bytearray(file.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        # Headers are short and matter most, so half of the flips go there.
        last = data.draw(st.sampled_from([min(600, len(content)), len(content)])) - 1
        content[data.draw(st.integers(0, last))] ^= data.draw(st.integers(1, 255))
    file.write_bytes(content)
    is_named_or_whole(outcome_of(root), root)


@every_format
def test_the_reader_can_be_sent_to_another_process(name, samples):
    import pickle

    for ref in list_episodes(samples / name):
        again = pickle.loads(pickle.dumps(ref))
        assert dataclasses.asdict(again) == dataclasses.asdict(ref)
        assert len(pickle.dumps(ref)) < 1000
