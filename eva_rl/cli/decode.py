"""`eva-rl decode`: the joint positions that a video shows, read by an inverse dynamics model."""

import argparse
import hashlib
import json
import sys
from pathlib import Path
from typing import Any

PURPOSE = "Read joint positions from a video: [frames, dimensions], rad, grippers 0 closed .. 1 open."

EXAMPLE = """\
example:
  eva-rl decode clip.mp4 --idm models/idm --out actions.npy
  eva-rl score actions.npy --fps 5

Beside the .npy a .json says what it holds: names of the dimensions, frame rate, which weights read it.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EXAMPLE
    parser.add_argument("video", type=Path, help="video file, or .npy of frames [T, H, W, 3] uint8")
    parser.add_argument("--idm", type=Path, help="model directory (default: the embedded one)")
    parser.add_argument(
        "--world-model", type=Path, help="pipeline directory whose codec encodes, for a model of latents"
    )
    parser.add_argument("--out", type=Path, required=True, help="NumPy file to write")
    parser.add_argument(
        "--frame-rate", type=float, help="true rate, Hz; default: the one that the video file names"
    )
    parser.add_argument("--embodiment", default="bimanual", help="row of EMBODIMENTS, for the names")


def run(arguments: argparse.Namespace) -> int:
    """Writes positions and their description: 0 fine, 2 wrong input."""
    try:
        _decode(arguments)
    except (OSError, ValueError) as error:
        sys.stderr.write(f"eva-rl decode: {error}\n")
        return 2
    return 0


def _decode(arguments: argparse.Namespace) -> None:
    import numpy as np
    import torch

    from eva_rl import pretrained
    from eva_rl.data.whole_video import read_frames
    from eva_rl.embodiments import load_embodiment
    from eva_rl.idm.kinds import open_idm

    directory = arguments.idm or pretrained.IDM
    embodiment = load_embodiment(arguments.embodiment)
    frames, named_rate = read_frames(arguments.video)
    rate = arguments.frame_rate or named_rate
    if rate is None or rate <= 0:
        raise ValueError(f"{arguments.video} names no frame rate: give --frame-rate above 0")
    idm = open_idm(directory)
    try:
        idm.architecture.check_frame_period(1 / rate)
        with torch.no_grad():
            positions = _read(idm, torch.from_numpy(frames), arguments)[0].numpy().astype(np.float32)
    except ValueError as error:
        raise ValueError(f"{arguments.video}: {error}") from error
    if positions.shape[1] != embodiment.dimension:
        raise ValueError(
            f"{directory} reads {positions.shape[1]} dimensions, embodiment {embodiment.name} has "
            f"{embodiment.dimension}: give the robot's --embodiment"
        )
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    out = arguments.out if arguments.out.suffix == ".npy" else Path(f"{arguments.out}.npy")
    np.save(out, positions)
    facts: dict[str, Any] = {
        "video": arguments.video.name,
        "frame_rate_hz": rate,
        "dimensions": _names(embodiment),
        "idm": hashlib.sha256((directory / "model.safetensors").read_bytes()).hexdigest()[:16],
    }
    out.with_suffix(".json").write_text(json.dumps(facts, indent=1) + "\n")
    sys.stdout.write(f"{out}: [{len(positions)}, {positions.shape[1]}] at {rate:g} Hz\n")


def _read(idm: Any, frames: Any, arguments: argparse.Namespace) -> Any:
    """Positions [1, frames, dimensions]; a model of latents has the video encoded first."""
    from eva_rl.idm.kinds import check_codec, read_recorded
    from eva_rl.world_model.latent_codec import LatentCodec
    from eva_rl.world_model.part_hashes import hash_codec

    directory = arguments.world_model
    pictures = frames.permute(0, 3, 1, 2).float() / 127.5 - 1.0
    if idm.reads == "frames":
        if directory is not None:
            raise ValueError(
                f"--world-model {directory} has nothing to encode: the model reads frames; leave it out"
            )
        return idm.decode_positions(pictures[None])
    if directory is None:
        raise ValueError(
            f"{arguments.idm} reads codec latents, not frames: give --world-model, the pipeline directory "
            "whose codec it was trained on"
        )
    check_codec(idm, lambda: hash_codec(directory))
    codec = LatentCodec.from_directory(directory)
    return read_recorded(idm, pictures[None], encode=lambda _: codec.encode_frames(frames[None]))


def _names(embodiment: Any) -> list[str]:
    """What each dimension is, e.g. `left_joint1` and `left_gripper`."""
    names: list[str] = []
    for arm, limits in zip(embodiment.arm_names, embodiment.arms, strict=True):
        names += [f"{arm}_joint{number + 1}" for number in range(len(limits.position_low))]
        names.append(f"{arm}_gripper")
    return names
