"""The quick look at an episode's compressed pictures agrees with decoding them."""

import io

import numpy as np
import pytest
from PIL import Image

from eva_rl.data.damage import DamagedEpisodeError
from eva_rl.data.pictures import check_whole, decode_rgb

PIXELS = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)


def picture(kind="JPEG"):
    file = io.BytesIO()
    Image.fromarray(PIXELS).save(file, format=kind)
    return file.getvalue()


def altered_end(content):
    return content[:-2] + bytes([content[-2] ^ 1]) + content[-1:]


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_whole_pictures_pass_with_padding_and_without(kind):
    check_whole([picture(kind), picture(kind) + b"\0" * 7], source="a file", camera="head")


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_an_altered_end_behind_a_whole_picture_is_no_damage(kind):
    content = altered_end(picture(kind))
    assert decode_rgb(content).shape == PIXELS.shape
    check_whole([content], source="a file", camera="head")


@pytest.mark.parametrize("damaged", [b"", b"no picture", picture()[: len(picture()) // 2]])
def test_cut_and_foreign_pictures_are_named_with_their_frame(damaged):
    with pytest.raises(OSError):  # noqa: PT011: Pillow words it differently from release to release
        decode_rgb(damaged)
    with pytest.raises(DamagedEpisodeError, match="a file: images of head not readable: frame 1"):
        check_whole([picture(), damaged], source="a file", camera="head")
