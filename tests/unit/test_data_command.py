"""`eva-rl data`, called as a user calls it."""

import json

import h5py
import numpy as np
import pytest

from eva_rl.cli.main import main
from eva_rl.data.formats import read_episode
from eva_rl.data.listing import list_episodes
from eva_rl.embodiments.joint_limits import JointLimits
from tests.unit.synthetic_episodes import make_episode, write_directory, write_v21


def call(capsys, *words):
    with pytest.raises(SystemExit) as caught:
        main(["data", *map(str, words)])
    captured = capsys.readouterr()
    return caught.value.code, captured.out, captured.err


def test_inspect_counts_what_is_there_and_names_what_is_damaged(tmp_path, capsys):
    refs = write_directory(tmp_path, tasks=("click_bell", "grab_roller"))
    with open(refs[4].path, "r+b") as file:
        file.truncate(1000)
    code, out, _ = call(capsys, "inspect", tmp_path, "--json")
    found = json.loads(out)
    assert code == 1
    assert (found["num_episodes"], found["num_frames"]) == (6, 30)
    assert found["tasks"] == {"click_bell": 3, "grab_roller": 2}
    assert found["formats"] == {"robotwin-legacy": 5}
    assert found["frame_rates_hz"] == {"5": 5}
    assert found["frame_sizes"] == {"48x64": 5}
    assert list(found["damaged"]) == [refs[4].path]
    code, out, _ = call(capsys, "inspect", tmp_path)
    assert code == 1
    assert f"damaged: {refs[4].path}: not readable" in out


def test_inspect_says_which_limits_the_demonstrations_break_themselves(tmp_path, capsys):
    actions = make_episode().actions.copy()
    actions[3, 0] = 9.0
    write_directory(tmp_path, num_episodes=1, actions=actions, measured_positions=None)
    code, out, _ = call(capsys, "inspect", tmp_path, "--json")
    broken = json.loads(out)["violations"]
    assert code == 0
    assert broken["position"] == {"num_episodes": 1, "num_frames": 1}
    assert broken["velocity"] == {"num_episodes": 1, "num_frames": 2}


@pytest.mark.parametrize("target", ["robotwin-legacy", "robotwin-v1", "lerobot-v3"])
def test_convert_writes_what_inspect_finds_again(tmp_path, capsys, target):
    write_directory(tmp_path / "old", tasks=("click_bell", "grab_roller"))
    code, out, _ = call(capsys, "convert", tmp_path / "old", tmp_path / "new", "--to", target)
    assert (code, "6 episodes written, 0 left out" in out) == (0, True)
    code, out, _ = call(capsys, "inspect", tmp_path / "new", "--json")
    assert code == 0
    assert json.loads(out)["formats"] == {target: 6}
    assert json.loads(out)["tasks"] == {"click_bell": 3, "grab_roller": 3}


def test_convert_makes_the_chosen_camera_the_head_camera(tmp_path, capsys):
    refs = write_directory(tmp_path / "old", num_episodes=1)
    with h5py.File(refs[0].path, "a") as file:
        file["observation"].move("head_camera", "front_camera")
    words = ("convert", tmp_path / "old", tmp_path / "new", "--to", "robotwin-legacy")
    code, _, err = call(capsys, *words)
    assert (code, "/observation holds front_camera" in err) == (1, True)
    code, _, _ = call(capsys, *words, "--camera", "front_camera")
    assert code == 0
    assert read_episode(list_episodes(tmp_path / "new")[0]).camera == "head_camera"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("inspect", "{root}/absent"), "does not exist"),
        (("inspect", "{root}/old", "--tasks", "fly"), "no episodes of fly"),
        (("inspect", "{root}/old", "--embodiment", "octopus"), "--embodiment must be one of"),
        (("convert", "{root}/old", "{root}/new", "--to", "lerobot-v2"), "not as 'lerobot-v2'"),
        (("convert", "{root}/old", "{root}/old", "--to", "lerobot-v3"), "not empty"),
        (("stats", "{root}/old", "--quantile", "0.7"), "--quantile must lie in 0..0.5"),
    ],
)
def test_wrong_input_is_answered_with_a_sentence(tmp_path, capsys, words, message):
    write_directory(tmp_path / "old", num_episodes=1)
    code, out, err = call(capsys, *(word.format(root=tmp_path) for word in words))
    assert (code, out) == (2, "")
    assert message in err


def test_stats_suggest_limits_that_the_demonstrations_keep(tmp_path, capsys):
    refs = write_directory(tmp_path)
    code, out, _ = call(capsys, "stats", tmp_path, "--quantile", "0", "--json")
    found = json.loads(out)
    actions = np.stack([read_episode(ref).actions for ref in refs])
    assert code == 0
    assert (found["embodiment"], found["num_frames"]) == ("bimanual", 18)
    joint = found["joints"][3]
    assert joint["name"] == "left 4"
    assert joint["low"] == pytest.approx(actions[..., 3].min(), abs=1e-4)
    assert joint["high"] == pytest.approx(actions[..., 3].max(), abs=1e-4)
    assert joint["mean"] == pytest.approx(actions[..., 3].mean(), abs=1e-4)
    assert joint["velocity"] == pytest.approx(np.abs(np.diff(actions[..., 3], axis=1) * 5).max(), abs=1e-3)
    assert found["joints"][6]["name"] == "left gripper"
    for arm in found["arms"].values():
        limits = JointLimits(**{name: tuple(v) if isinstance(v, list) else v for name, v in arm.items()})
        assert limits.num_joints == 6


def test_stats_for_people_show_every_joint(tmp_path, capsys):
    write_directory(tmp_path)
    _, out, _ = call(capsys, "stats", tmp_path)
    assert sum(line.startswith(("left ", "right ")) for line in out.splitlines()) == 14
    assert "left: JointLimits(position_low=(" in out


def test_stats_of_two_robots_are_refused(tmp_path, capsys):
    write_directory(tmp_path / "a", num_episodes=1)
    write_directory(tmp_path / "b", num_episodes=1, embodiment="piper")
    code, _, err = call(capsys, "stats", tmp_path)
    assert code == 2
    assert "one robot's episodes are needed, got bimanual, piper" in err


def test_a_dataset_that_is_damaged_in_one_way_gets_one_line_and_json_names_every_episode(tmp_path, capsys):
    write_v21(tmp_path / "set", [make_episode(index=index, embodiment="piper") for index in range(4)])
    info = tmp_path / "set/meta/info.json"
    info.write_text(info.read_text().replace('"robot_type": "piper"', '"robot_type": "so101"'))
    code, out, _ = call(capsys, "inspect", tmp_path / "set")
    (line,) = [line for line in out.splitlines() if line.startswith("damaged")]
    assert code == 1
    assert "episode 0 (and 3 more for the same reason, see --json): recorded with robot 'so101'" in line
    _, out, _ = call(capsys, "inspect", tmp_path / "set", "--json")
    assert len(json.loads(out)["damaged"]) == 4


def test_headers_alone_miss_what_lies_inside_a_picture_and_nothing_else(tmp_path, capsys):
    refs = write_directory(tmp_path, num_episodes=2)
    with h5py.File(refs[0].path, "a") as file:
        images = file["observation/head_camera/rgb"][()]
        images[3] = images[3][:20] + images[3][-2:]  # begins and ends as it should
        file["observation/head_camera/rgb"][...] = images
    assert call(capsys, "inspect", tmp_path, "--headers")[0] == 0
    code, out, _ = call(capsys, "inspect", tmp_path)
    assert (code, f"damaged: {refs[0].path}: images of head_camera not readable: frame 3" in out) == (1, True)
