"""Mirrored pictures and the actions that they show."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from eva_rl.embodiments import EMBODIMENTS
from eva_rl.embodiments.mirroring import Mirror
from eva_rl.embodiments.model_file import RobotFileError
from eva_rl.embodiments.row_file import as_yaml, read_row
from eva_rl.idm.augmentation import mirrored_actions, with_mirrored_clips
from eva_rl.simulators.bimanual import BimanualScene

MIRRORED = [name for name, row in EMBODIMENTS.items() if row.mirror_signs is not None]


def random_positions(row, num_frames, *, seed=0):
    """Positions well inside the joints' ranges, grippers included."""
    share = torch.rand(num_frames, row.dimension, generator=torch.Generator().manual_seed(seed))
    lower, upper = torch.tensor(row.lower), torch.tensor(row.upper)
    return (lower + (0.25 + 0.5 * share) * (upper - lower)).float()


@pytest.mark.parametrize("name", MIRRORED)
def test_mirroring_twice_changes_nothing_and_once_exchanges_the_arms(name):
    row = EMBODIMENTS[name]
    mirror, actions = Mirror.of(row), random_positions(row, 3)
    once = mirrored_actions(actions, mirror)
    assert torch.equal(mirrored_actions(once, mirror), actions)
    assert torch.equal(once.abs()[:, 7:], actions.abs()[:, :7])
    left_gripper, right_gripper = row.gripper_indices
    assert torch.equal(once[:, right_gripper], actions[:, left_gripper])


def test_evas_flip_negates_the_first_and_the_last_two_joints():
    mirror = Mirror.of(EMBODIMENTS["aloha-agilex"])
    negated = [place for place, sign in enumerate(mirror.signs) if sign < 0]
    assert negated == [0, 4, 5, 7, 11, 12]


def test_the_embedded_robot_at_mirrored_joints_is_its_own_mirror_image():
    row = EMBODIMENTS["bimanual"]
    scene = BimanualScene("click_bell", 0)
    expert = torch.from_numpy(scene.expert().actions)
    positions = torch.cat([expert[::4], random_positions(row, 4)])
    seen = scene.render_motion(positions.numpy()).arm_cover  # [frames, arms, height, width]
    mirrored = scene.render_motion(mirrored_actions(positions, Mirror.of(row)).numpy()).arm_cover
    difference = np.abs(mirrored - seen[:, ::-1, :, ::-1])
    assert seen.mean() > 0.02
    assert difference.mean() < 0.02 * seen.mean()


def test_clips_are_mirrored_with_their_actions_in_the_wanted_share():
    frames = torch.arange(4.0).expand(200, 1, 3, 1, 4).clone()
    actions = torch.arange(14.0).expand(200, 1, 14).clone()
    mirror = Mirror.of(EMBODIMENTS["bimanual"])
    shown, told = with_mirrored_clips(
        frames, actions, mirror=mirror, probability=0.5, generator=torch.Generator().manual_seed(0)
    )
    is_mirrored = shown[:, 0, 0, 0, 0] == 3
    assert 80 < is_mirrored.sum() < 120
    assert torch.equal(shown[is_mirrored], frames[is_mirrored].flip(-1))
    assert torch.equal(told[is_mirrored], mirrored_actions(actions[is_mirrored], mirror))
    assert torch.equal(shown[~is_mirrored], frames[~is_mirrored])
    assert torch.equal(told[~is_mirrored], actions[~is_mirrored])


def test_a_robot_that_gives_no_mirror_is_refused_by_name():
    with pytest.raises(ValueError, match="embodiment 'ur5' gives no mirror_signs"):
        Mirror.of(EMBODIMENTS["ur5"])


@pytest.mark.parametrize("signs", ["[1, 1, 1]", "yes", "[a, b]", "[2, 1, 1, 1, 1, 1]"])
def test_impossible_signs_in_a_limits_file_are_refused_with_its_name(signs, tmp_path):
    file = tmp_path / "limits.yaml"
    row = replace(EMBODIMENTS["bimanual"], mirror_signs=None)
    file.write_text(as_yaml(row) + f"mirror_signs: {signs}\n")
    with pytest.raises(RobotFileError, match=r"limits\.yaml: .*mirror_signs must be"):
        read_row(file)


@pytest.mark.parametrize("signs", [(1.0,) * 5, (1.0, 0.5, 1.0, 1.0, 1.0, 1.0)])
def test_signs_that_do_not_fit_the_arms_are_refused(signs):
    with pytest.raises(ValueError, match="mirror_signs must be 1 or -1 per joint of an arm"):
        replace(EMBODIMENTS["bimanual"], mirror_signs=signs)
