"""A hostile dataset makes the reader open nothing outside of it, and run nothing."""

import json
import os
from pathlib import Path

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import ray.data
from ray.data.extensions import ArrowPythonObjectType

from eva_rl.data.checking import find_out
from eva_rl.data.formats import EPISODE_FORMATS, read_episode
from eva_rl.data.lerobot_writing import lerobot_writer
from eva_rl.data.listing import EpisodeDirectoryError, list_episodes
from eva_rl.data.robotwin_legacy import instruction_path
from eva_rl.data.video_decoding import frames_at
from eva_rl.data.whole_video import UnreadableVideoError, read_frames
from tests.unit.synthetic_episodes import encode_video, make_episode, write_directory, write_v21

HEAD_IMAGES = "observation/head_camera/rgb"


def write_v3(root, episodes):
    with lerobot_writer(root) as write:
        for episode in episodes:
            write(episode)


DATASETS = {"lerobot-v2": write_v21, "lerobot-v3": write_v3}


@pytest.fixture
def outside(tmp_path):
    """A whole other dataset beside the one that is read: everything in it would be readable."""
    for name, write in DATASETS.items():
        write(tmp_path / "outside" / name, [make_episode()])
    write_directory(tmp_path / "outside" / "robotwin", num_episodes=1)
    return tmp_path / "outside"


@pytest.fixture
def opened(monkeypatch):
    """Paths of all files that Python opens, HDF5's and ffmpeg's own excepted."""
    import builtins

    import pyarrow.fs

    paths, plain = [], builtins.open

    class Watched:
        def __init__(self, system):
            self._system = system

        def __getattr__(self, name):
            return getattr(self._system, name)

        def open_input_file(self, path):
            paths.append(os.path.realpath(path))
            return self._system.open_input_file(path)

    def watch(path, *words, **options):
        paths.append(os.path.realpath(path))
        return plain(path, *words, **options)

    from eva_rl.data import storage

    monkeypatch.setattr(storage, "open", watch, raising=False)
    monkeypatch.setattr(
        storage,
        "filesystem_of",
        lambda location: (Watched(pyarrow.fs.LocalFileSystem()), os.path.abspath(location)),
    )
    return paths


def problems_of(root):
    """What is wrong with each episode; the refusal of the whole directory counts for all."""
    try:
        refs = list_episodes(root)
    except EpisodeDirectoryError as error:
        return [str(error)]
    findings = [find_out(ref, num_dimensions=14) for ref in refs]
    return [finding.problem or "" for finding in findings]


def assert_refused(root, outside, opened, words):
    (problem,) = problems_of(root)
    assert words in problem
    assert not [path for path in opened if Path(path).is_relative_to(outside)]


@pytest.mark.parametrize("name", DATASETS)
@pytest.mark.parametrize("key", ["data_path", "video_path"])
@pytest.mark.parametrize("way", ["absolute", "upward", "format", "width", "nothing"])
def test_templates_that_lead_elsewhere_are_refused(tmp_path, outside, opened, name, key, way):
    root = tmp_path / "mine"
    DATASETS[name](root, [make_episode()])
    file = root / "meta/info.json"
    info = json.loads(file.read_text())
    info[key] = {
        "absolute": f"{outside / name}/{info[key]}",
        "upward": f"../outside/{name}/{info[key]}",
        "format": info[key] + "{chunk_index.__class__}",
        "width": info[key] + "{file_index:0999999999d}",
        "nothing": None,
    }[way]
    file.write_text(json.dumps(info))
    words = "leads out of the dataset" if way in ("absolute", "upward") else "is not one of LeRobot's"
    assert_refused(root, outside, opened, words)


@pytest.mark.parametrize("name", DATASETS)
def test_a_camera_whose_name_is_a_way_out_is_refused(tmp_path, outside, opened, name):
    root = tmp_path / "mine"
    DATASETS[name](root, [make_episode()])
    file = root / "meta/info.json"
    info = json.loads(file.read_text())
    features, key = info["features"], "../../../../outside"
    features[key] = features.pop("observation.images.head_camera")
    file.write_text(json.dumps(info))
    refs = list_episodes(root, camera=key)
    finding = find_out(refs[0], num_dimensions=14)
    assert "leads out of the dataset" in finding.problem or "not described" in finding.problem
    assert not [path for path in opened if Path(path).is_relative_to(outside)]


def files_of(name, root):
    """Every file that is read of a dataset, relative to its root."""
    return sorted(
        file.relative_to(root)
        for file in root.rglob("*")
        if file.is_file() and not (name != "robotwin" and file.name == "stats.json")
    )


@pytest.mark.parametrize("name", [*DATASETS, "robotwin"])
def test_a_file_that_is_a_link_out_of_the_dataset_is_refused(tmp_path, outside, opened, name):
    for number, file in enumerate(files_of(name, outside / name)):
        root = tmp_path / f"mine{number}"
        if name == "robotwin":
            write_directory(root, num_episodes=1)
        else:
            DATASETS[name](root, [make_episode()])
        (root / file).unlink()
        (root / file).symlink_to(outside / name / file)
        opened.clear()
        assert_refused(root, outside, opened, "and is not read")


@pytest.mark.parametrize("name", [*DATASETS, "robotwin"])
def test_a_directory_that_is_a_link_out_of_the_dataset_is_refused(tmp_path, outside, opened, name):
    root = tmp_path / "mine"
    root.mkdir()
    (root / "linked").symlink_to(outside / name)
    assert_refused(root, outside, opened, f"{root}/linked: leads to")


def test_links_inside_of_a_directory_are_followed_and_nothing_is_listed_twice(tmp_path):
    refs = write_directory(tmp_path / "demos", num_episodes=1)
    (tmp_path / "demos" / "loop").symlink_to(tmp_path / "demos")
    (tmp_path / "demos" / "again").symlink_to(tmp_path / "demos" / "click_bell")
    assert list_episodes(tmp_path / "demos") == refs
    texts = instruction_path(Path(refs[0].path))
    texts.rename(tmp_path / "demos" / "texts.json")
    texts.symlink_to(tmp_path / "demos" / "texts.json")
    assert read_episode(refs[0]).seen_instructions


def test_a_directory_may_itself_be_reached_by_a_link(tmp_path):
    write_directory(tmp_path / "demos", num_episodes=1)
    (tmp_path / "shortcut").symlink_to(tmp_path / "demos")
    assert problems_of(tmp_path / "shortcut") == [""]


def test_a_snapshot_of_the_hugging_face_cache_is_read_through_its_links(tmp_path):
    repository = tmp_path / "datasets--somebody--bells"
    write_v3(tmp_path / "plain", [make_episode()])
    for number, file in enumerate(files_of("lerobot-v3", tmp_path / "plain")):
        link, blob = repository / "snapshots" / "4f3a" / file, repository / "blobs" / str(number)
        link.parent.mkdir(parents=True, exist_ok=True)
        blob.parent.mkdir(exist_ok=True)
        (tmp_path / "plain" / file).rename(blob)
        link.symlink_to(os.path.relpath(blob, link.parent))
    assert problems_of(repository / "snapshots" / "4f3a") == [""]


def test_a_pipe_is_named_and_not_waited_for(tmp_path):
    refs = write_directory(tmp_path, num_episodes=1)
    Path(refs[0].path).unlink()
    os.mkfifo(refs[0].path)
    assert problems_of(tmp_path) == ["is neither a file nor a directory, and is not read"]


def change_images(path, change):
    with h5py.File(path, "a") as file:
        images = file[HEAD_IMAGES][()]
        del file[HEAD_IMAGES]
        change(file, images)


def external_link(file, elsewhere, images):
    file[HEAD_IMAGES] = h5py.ExternalLink(elsewhere, HEAD_IMAGES)


def soft_link_to_an_external_one(file, elsewhere, images):
    file["elsewhere"] = h5py.ExternalLink(elsewhere, HEAD_IMAGES)
    file[HEAD_IMAGES] = h5py.SoftLink("/elsewhere")


def bytes_of_another_file(file, elsewhere, images):
    file.create_dataset(HEAD_IMAGES, (len(images),), images.dtype, external=[(elsewhere, 0, images.nbytes)])


def virtual_dataset(file, elsewhere, images):
    layout = h5py.VirtualLayout(images.shape, images.dtype)
    layout[:] = h5py.VirtualSource(elsewhere, HEAD_IMAGES, images.shape)
    file.create_virtual_dataset(HEAD_IMAGES, layout)


@pytest.mark.parametrize(
    ("way", "words"),
    [
        (external_link, f"{HEAD_IMAGES} is a link"),
        (soft_link_to_an_external_one, f"{HEAD_IMAGES} is a link"),
        (bytes_of_another_file, "takes its numbers out of another file"),
        (virtual_dataset, "takes its numbers out of another file"),
    ],
)
def test_an_hdf5_file_that_refers_to_another_one_is_refused(tmp_path, outside, way, words):
    (ref,) = write_directory(tmp_path / "mine", num_episodes=1)
    elsewhere = list_episodes(outside / "robotwin")[0].path
    change_images(ref.path, lambda file, images: way(file, elsewhere, images))
    (problem,) = problems_of(tmp_path / "mine")
    assert words in problem


class Bomb:
    """Leaves a mark when it is unpickled."""

    def __init__(self, mark):
        self.mark = str(mark)

    def __reduce__(self):
        return os.mkdir, (self.mark,)


def pickled_column(mark, number):
    """A column of Ray Data's extension type for Python objects; its cells run code when they are read."""
    import pickle

    storage = pa.array([pickle.dumps(Bomb(mark))] * number, pa.large_binary())
    return pa.ExtensionArray.from_storage(ArrowPythonObjectType(), storage)


def test_the_bomb_goes_off_where_nobody_looks(tmp_path):
    """So that the next test means something."""
    assert ray.data is not None  # it registers the type
    pq.write_table(pa.table({"task": pickled_column(tmp_path / "mark", 1)}), tmp_path / "table.parquet")
    pq.read_table(tmp_path / "table.parquet")["task"].to_pylist()
    assert (tmp_path / "mark").is_dir()


@pytest.mark.parametrize(
    ("file", "column"),
    [
        ("data/chunk-000/file-000.parquet", "action"),
        ("data/chunk-000/file-000.parquet", "task_index"),
        ("meta/episodes/chunk-000/file-000.parquet", "eva_rl/task"),
        ("meta/tasks.parquet", "task_index"),
    ],
)
def test_pickled_cells_of_a_parquet_file_are_never_read(tmp_path, file, column):
    root, mark = tmp_path / "mine", tmp_path / "mark"
    write_v3(root, [make_episode()])
    table = pq.read_table(root / file)
    place = table.column_names.index(column)
    pq.write_table(table.set_column(place, column, pickled_column(mark, len(table))), root / file)
    (problem,) = problems_of(root)
    assert f"column {column} is of type" in problem
    assert not mark.exists()


def playlist_of(path, video):
    path.write_text(
        f"#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{video}\n#EXT-X-ENDLIST\n"
    )


def test_a_playlist_is_no_video(tmp_path):
    """ffmpeg would open whatever it names, on this machine or on another one."""
    encode_video(tmp_path / "secret.ts", make_episode().frames, rate_hz=5)
    assert len(read_frames(tmp_path / "secret.ts")[0]) == 6
    playlist_of(tmp_path / "list.m3u8", tmp_path / "secret.ts")
    with pytest.raises(UnreadableVideoError, match="damaged or no video"):
        read_frames(tmp_path / "list.m3u8")
    with pytest.raises(Exception, match="video not readable"):
        list(frames_at(str(tmp_path / "list.m3u8"), [0.0], tolerance_s=0.1))


def test_pictures_of_kinds_that_start_programs_are_refused(tmp_path):
    (ref,) = write_directory(tmp_path, num_episodes=1)
    postscript = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 64 48\nshowpage\n"
    change_images(ref.path, lambda file, _: file.create_dataset(HEAD_IMAGES, data=np.array([postscript] * 6)))
    (problem,) = problems_of(tmp_path)
    assert "images of head_camera not readable: frame 0 (it is no JPEG, PNG, WEBP picture" in problem


def test_every_format_is_covered_here():
    assert set(EPISODE_FORMATS) == {*DATASETS, "robotwin-legacy", "robotwin-v1"}
