"""Every damage to every format is named with its file and its reason, wherever episodes are read."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow.parquet as pq
import pytest

from eva_rl.data.checking import find_out
from eva_rl.data.conversion import convert_episodes
from eva_rl.data.damage import DamagedEpisodeError
from eva_rl.data.episodes import survey_episodes
from eva_rl.data.formats import EPISODE_FORMATS
from eva_rl.data.inspection import as_text, inspect_episodes
from eva_rl.data.listing import EpisodeDirectoryError, list_episodes
from eva_rl.data.ray_pipeline import episode_items, rows_of_block
from eva_rl.data.robotwin_images import encode_frames
from eva_rl.data.windows import WindowShape
from tests.unit.synthetic_episodes import encode_video, make_episode, write_v21

DOCUMENT = Path(__file__).parents[2] / "docs" / "damaged_input.md"
SHAPE = WindowShape(num_frames=3, frame_rate_hz=2.5, height=48, width=64, stride_s=0.2)
PICTURES = {"robotwin-legacy": "observation/head_camera/rgb", "robotwin-v1": "vision/cam_head/colors"}
JOINTS = {"robotwin-legacy": "joint_action/vector", "robotwin-v1": "state/right_arm_joint_states"}
VECTORS = ("action", "observation.state")


@dataclass(frozen=True, kw_only=True)
class Damage:
    """One kind of damage.

    Attributes:
        do: (format, directory with two episodes) -> damages the first one, and its neighbour where both
            lie in one file.
        sentences: regular expression of what is said, per format.
    """

    do: Callable[[str, Path], None]
    sentences: dict[str, str]


def write(name: str, root: Path, **changes: Any) -> None:
    """Two episodes; `changes` are those of the first one."""
    writer = EPISODE_FORMATS[name].writer
    episodes = [make_episode(index=0, **changes), make_episode(index=1)]
    if writer is None:
        write_v21(root, episodes)
        return
    with writer(root) as write_one:
        for episode in episodes:
            write_one(episode)


def first_file(root: Path, ending: str) -> Path:
    return next(file for file in sorted(root.rglob(f"*{ending}")) if "meta" not in file.parts)


def rewrite(root: Path, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Changes the columns of the first data file of a LeRobot dataset."""
    file = first_file(root, ".parquet")
    table = pq.read_table(file)
    columns = change({name: table[name].to_pylist() for name in table.column_names})
    pq.write_table(table.from_pydict(columns), file)


def change_dataset(name: str, root: Path, place: str, change: Callable[[Any], Any]) -> None:
    with h5py.File(first_file(root, ".hdf5"), "a") as file:
        values = file[place][()]
        del file[place]
        file[place] = change(values)


def truncate(name: str, root: Path) -> None:
    file = first_file(root, ".parquet" if name.startswith("lerobot") else ".hdf5")
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def put_garbage_for_pictures(name: str, root: Path) -> None:
    if name.startswith("lerobot"):
        first_file(root, ".mp4").write_bytes(b"\xff\0garbage" * 200)
    else:
        change_dataset(name, root, PICTURES[name], lambda images: np.array([b"garbage"] * len(images)))


def put_nan_for_joints(name: str, root: Path) -> None:
    def change(columns: dict[str, Any]) -> dict[str, Any]:
        columns["action"][0] = [float("nan")] * 14
        return columns

    if name.startswith("lerobot"):
        rewrite(root, change)
    else:
        change_dataset(name, root, JOINTS[name], lambda values: np.full_like(values, np.nan))


def drop_a_joint(name: str, root: Path) -> None:
    """The metadata of LeRobot datasets still say 14."""
    if name.startswith("lerobot"):
        rewrite(root, lambda columns: columns | {key: [row[:-1] for row in columns[key]] for key in VECTORS})
    else:
        change_dataset(name, root, JOINTS[name], lambda values: values[:, :-1])


def drop_pictures(name: str, root: Path) -> None:
    if name.startswith("lerobot"):
        encode_video(first_file(root, ".mp4"), make_episode().frames[:4], rate_hz=5)
    else:
        change_dataset(name, root, PICTURES[name], lambda images: images[:-2])


def change_a_pictures_size(name: str, root: Path) -> None:
    small = encode_frames(np.zeros((1, 24, 32, 3), np.uint8))[0]
    change_dataset(name, root, PICTURES[name], lambda images: np.array([*images[:3], small, *images[4:]]))


def blank_the_instruction(name: str, root: Path) -> None:
    for file in root.rglob("*"):
        if file.is_file():
            file.unlink()
    write(name, root / "again", seen_instructions=("",), unseen_instructions=())


EVERY = tuple(EPISODE_FORMATS)
HDF5 = ("robotwin-legacy", "robotwin-v1")
LEROBOT = ("lerobot-v2", "lerobot-v3")
DAMAGES = {
    "truncated file": Damage(
        do=truncate,
        sentences={
            **dict.fromkeys(HDF5, r"not readable \(.*truncated file"),
            **dict.fromkeys(LEROBOT, r"file[-_].*0\.parquet not readable|episode_.*\.parquet not readable"),
        },
    ),
    "garbage for pictures": Damage(
        do=put_garbage_for_pictures,
        sentences={
            **dict.fromkeys(HDF5, "images of .*head.* not readable: frame 0"),
            **dict.fromkeys(LEROBOT, r"\.mp4: video not readable"),
        },
    ),
    "NaN joints": Damage(do=put_nan_for_joints, sentences=dict.fromkeys(EVERY, "actions are not finite")),
    "wrong joint count": Damage(
        do=drop_a_joint,
        sentences={
            **dict.fromkeys(EVERY, r"actions have shape \(6, 13\), wanted \[6, 14\]"),
            "robotwin-v1": "state holds 13 joints, action 14",
        },
    ),
    "fewer pictures than frames": Damage(
        do=drop_pictures,
        sentences={
            **dict.fromkeys(
                HDF5, "has 3 images of .*, but drive targets for 5 frames|has 4 images of .* 6 frames"
            ),
            **dict.fromkeys(LEROBOT, r"\.mp4: has no picture within 0\.100 s of"),
        },
    ),
    "pictures of different sizes": Damage(
        do=change_a_pictures_size, sentences=dict.fromkeys(HDF5, "differ in size")
    ),
    "empty instruction": Damage(
        do=blank_the_instruction, sentences=dict.fromkeys(EVERY, "an instruction is empty")
    ),
}
"""A video has one size; so that damage does not exist in LeRobot datasets."""

CASES = [(name, damage) for damage, row in DAMAGES.items() for name in row.sentences]
every_case = pytest.mark.parametrize(("name", "damage"), CASES)


@pytest.fixture
def damaged(name, damage, tmp_path):
    """References to both episodes, the first one damaged."""
    root = tmp_path / "demos"
    write(name, root)
    DAMAGES[damage].do(name, root)
    return list_episodes(root)


@every_case
def test_inspection_names_the_file_and_the_reason(name, damage, damaged):
    found = inspect_episodes(damaged)
    assert found["num_episodes"] == 2
    assert re.search(DAMAGES[damage].sentences[name], found["damaged"][str(damaged[0])])
    assert damaged[0].path in as_text(found)


@every_case
def test_headers_first_find_it_too_unless_every_picture_must_be_decoded(name, damage, damaged):
    problem = find_out(damaged[0], num_dimensions=14, decodes_all=False).problem
    if damage == "pictures of different sizes":
        assert problem is None
    else:
        assert re.search(DAMAGES[damage].sentences[name], problem)


@every_case
def test_conversion_leaves_it_out_by_name(name, damage, damaged, tmp_path):
    target = tmp_path / "new"
    outcomes = {str(ref): problem for ref, problem in convert_episodes(damaged, target, to="robotwin-legacy")}
    problem = outcomes[str(damaged[0])]
    assert re.search(DAMAGES[damage].sentences[name], problem)
    assert damaged[0].path in problem
    assert len(list(target.rglob("*.hdf5"))) == list(outcomes.values()).count(None)


@every_case
def test_the_survey_names_it_and_its_share_is_counted(name, damage, damaged):
    with pytest.raises(EpisodeDirectoryError, match=r"of 2 episodes are damaged") as error:
        survey_episodes(damaged, num_dimensions=14, max_damaged_share=0.2)
    assert re.search(DAMAGES[damage].sentences[name], str(error.value))
    assert damaged[0].path in str(error.value)


@every_case
def test_the_pipeline_stops_by_name(name, damage, damaged):
    """What a Ray task does with its block; `tests/integration/test_data_streaming.py` sees it through Ray."""
    block = {"episode": [item["episode"] for item in episode_items(damaged)]}
    with pytest.raises(DamagedEpisodeError) as error:
        list(rows_of_block(block, shape=SHAPE, block_bytes=2**20, with_provenance=False))
    assert re.search(DAMAGES[damage].sentences[name], str(error.value))
    assert damaged[0].path in str(error.value)


def test_the_document_lists_exactly_these_cases():
    """Its rows are | format | damage | sentence | test |, and a sentence must be one that is really said."""
    rows = re.findall(r"^\| `([\w-]+)` \| ([^|]+?) \| ([^|]+?) \| `([^|]+)` \|$", DOCUMENT.read_text(), re.M)
    assert sorted((name, damage) for name, damage, _, _ in rows) == sorted(CASES)
    for name, damage, sentence, test in rows:
        assert re.search(DAMAGES[damage].sentences[name], sentence.replace("…", "xxx")), (name, damage)
        assert test == "tests/contracts/test_damaged_input.py"
