"""What an inverse dynamics model takes: weights from its file, activations from its config."""

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FLOAT = 4
WINDOWS_PER_PASS = 16  # of resnet_plus, as in `eva_rl.idm.resnet_plus`


@dataclass(frozen=True, kw_only=True)
class IdmShape:
    """Sizes of an inverse dynamics model.

    Example:
        IdmShape(kind="resnet_plus", weight_bytes=105_000_000, first_channels=64, input_size=512)

    Attributes:
        kind: row of IDM_KINDS.
        weight_bytes: of all tensors.
        first_channels: after the first convolution.
        input_size: side of the pictures of resnet_plus.
    """

    kind: str
    weight_bytes: int
    first_channels: int = 32
    input_size: int = 512

    def activation_bytes(self, batch: int, num_frames: int, height: int, width: int) -> int | None:
        """Peak of reading a batch of clips, the clips themselves not counted; None for kinds not known here.

        `conv` reads all frames at once, at half resolution in its first layers. `resnet_plus` holds all
        frames at its input size, the three shifted copies and their join, then works on 16 windows at a time.
        """
        frames = batch * num_frames
        if self.kind == "conv":
            half = (height // 2) * (width // 2)
            return FLOAT * frames * half * (12 + 14 + 2 * self.first_channels)
        if self.kind == "resnet_plus":
            picture = 3 * self.input_size**2
            maps = WINDOWS_PER_PASS * 3 * self.first_channels * (self.input_size // 2) ** 2
            return FLOAT * max(7 * frames * picture, 4 * frames * picture + maps)
        return None


def read_idm(directory: Path) -> IdmShape:
    """Reads a model directory's config and the header of its weights; no weight is loaded.

    Raises:
        OSError: if a file is missing.
        ValueError: if one cannot be read.
    """
    config: dict[str, Any] = json.loads((directory / "config.json").read_text())
    kind = config.get("kind", "conv")
    first = config.get("width", 64) if kind == "resnet_plus" else config.get("channels", (32,))[0]
    return IdmShape(
        kind=kind,
        weight_bytes=sum(tensor_bytes(directory / "model.safetensors").values()),
        first_channels=first,
        input_size=config.get("input_size", 512),
    )


def tensor_bytes(file: Path) -> Mapping[str, int]:
    """Bytes of every tensor of a safetensors file, from its header.

    Raises:
        OSError: if the file is missing.
        ValueError: if it is no safetensors file.
    """
    with file.open("rb") as stream:
        start = stream.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else file.stat().st_size
        if length > file.stat().st_size:
            raise ValueError(f"{file} is no safetensors file: its header is longer than the file")
        header = json.loads(stream.read(length))
    header.pop("__metadata__", None)
    return {name: entry["data_offsets"][1] - entry["data_offsets"][0] for name, entry in header.items()}
