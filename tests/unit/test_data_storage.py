"""A location is a location, on a disk or in an object store."""

import numpy as np
import pyarrow.fs
import pytest

from eva_rl.data.conversion import convert_episodes
from eva_rl.data.file_lists import list_files
from eva_rl.data.formats import EPISODE_FORMATS, read_episode
from eva_rl.data.listing import EpisodeDirectoryError, list_episodes
from eva_rl.data.storage import filesystem_of, join, kind_of, parents, replace_end, stem
from tests.unit.object_store import served
from tests.unit.synthetic_episodes import write_directory

LOCATIONS = (
    "/data/click_bell/embedded",
    "s3://bucket/click_bell/embedded",
    "gs://b/x/embedded?retry_limit=3",
)


@pytest.mark.parametrize("directory", LOCATIONS)
def test_names_are_put_together_and_taken_apart_alike(directory):
    file = join(directory, "data", "episode3.hdf5")
    assert parents(file)[:2] == ["data", "embedded"]
    assert stem(file) == "episode3"
    beside = replace_end(file, num_names=2, by="instructions/episode3.json")
    assert beside == join(directory, "instructions", "episode3.json")
    assert replace_end(file, num_names=2, by="") == directory


def test_options_of_a_uri_stay_behind_its_path():
    assert join("s3://bucket/a?region=eu-west-1", "b") == "s3://bucket/a/b?region=eu-west-1"


@pytest.mark.parametrize(
    ("location", "kind", "path"),
    [
        ("s3://bucket/a/b?region=us-east-1", pyarrow.fs.S3FileSystem, "bucket/a/b"),
        ("gs://anonymous@bucket/a", pyarrow.fs.GcsFileSystem, "bucket/a"),
        ("file:///data/a", pyarrow.fs.LocalFileSystem, "/data/a"),
        ("/data/a", pyarrow.fs.LocalFileSystem, "/data/a"),
    ],
)
def test_a_scheme_chooses_the_file_system(location, kind, path):
    system, found = filesystem_of(location)
    assert isinstance(system, kind)
    assert found == path


def test_an_unknown_scheme_is_refused():
    with pytest.raises((ValueError, OSError), match="ftp"):
        kind_of("ftp://host/demos")


def test_files_are_listed_at_any_depth(tmp_path):
    for name in ("b/2.h5", "a/1.h5", "a/c/3.h5", "a/note.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    found = list_files(str(tmp_path), endings=(".h5",))
    assert found == [str(tmp_path / name) for name in ("a/1.h5", "a/c/3.h5", "b/2.h5")]
    assert list_files(tmp_path.as_uri(), endings=(".h5",)) == [
        (tmp_path / "x").as_uri()[:-1] + name for name in ("a/1.h5", "a/c/3.h5", "b/2.h5")
    ]


@pytest.mark.parametrize("name", [name for name, row in EPISODE_FORMATS.items() if row.writer])
def test_episodes_are_read_out_of_an_object_store_as_from_a_disk(name, tmp_path):
    source = write_directory(tmp_path / "recorded", num_episodes=2)
    assert [problem for _, problem in convert_episodes(source, tmp_path / "demos", to=name)] == [None, None]
    with served(tmp_path) as bucket:
        remote = list_episodes(join(bucket, "demos"))
        local = list_episodes(tmp_path / "demos")
        assert [ref.episode_id for ref in remote] == [ref.episode_id for ref in local]
        for there, here in zip(map(read_episode, remote), map(read_episode, local), strict=True):
            np.testing.assert_array_equal(there.frames, here.frames)
            np.testing.assert_array_equal(there.actions, here.actions)
            assert there.seen_instructions == here.seen_instructions
            assert there.source.startswith("s3://")
            assert [(place.first, place.end) for place in there.byte_ranges] == [
                (place.first, place.end) for place in here.byte_ranges
            ]


def test_what_is_not_in_the_store_is_named(tmp_path):
    (tmp_path / "demos").mkdir()
    with served(tmp_path) as bucket, pytest.raises(EpisodeDirectoryError, match=r"absent.* does not exist"):
        list_episodes(join(bucket, "absent"))
