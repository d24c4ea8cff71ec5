"""`eva-rl rollout`: imagine one clip from a picture and an instruction."""

import argparse
import sys
import time
from pathlib import Path
from typing import Any

PURPOSE = "Imagine one clip from a picture and an instruction, and write it as mp4."

EXAMPLE = """\
example:
  eva-rl rollout --image start.png --instruction "click the red bell with the left arm" --out clip.mp4
  eva-rl rollout --world-model models/wan2.2-ti2v-5b --height 480 --width 832 --num-frames 49 \\
      --frame-rate 16 --num-steps 40 --guidance 5 --image start.png --instruction "lift it" --out clip.mp4

The same seed gives the same clip, bit for bit, on the same machine. With --idm the clip's joint positions are
written beside it as .npy, frames x dimensions.
"""

EXPERTS = {"transformer": "high_noise", "transformer_2": "low_noise"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EXAMPLE
    parser.add_argument("--image", type=Path, required=True, help="picture of the start; resized if need be")
    parser.add_argument("--instruction", required=True, help="what the robot is told")
    parser.add_argument("--out", type=Path, required=True, help="video file to write, .mp4")
    parser.add_argument("--world-model", type=Path, help="pipeline directory (default: the embedded one)")
    parser.add_argument("--adapter", type=Path, help="directory or file of a LoRA that a run exported")
    parser.add_argument("--idm", type=Path, help="inverse dynamics model: also write joint positions")
    parser.add_argument("--seed", type=int, default=0, help="draws all noise (default: 0)")
    parser.add_argument("--num-steps", type=int, default=4, help="denoising steps (default: 4)")
    parser.add_argument("--kernel", default="flow_sde", help="row of KERNELS for noisy steps")
    parser.add_argument(
        "--noise-level", type=float, default=0.0, help="noise of all steps but the last (default: 0, none)"
    )
    parser.add_argument("--guidance", type=float, default=1.0, help="by the instruction (default: 1, off)")
    parser.add_argument("--history-guidance", type=float, default=0.0, help="history forcing only")
    parser.add_argument("--num-frames", type=int, help="default: as the embedded model was trained")
    parser.add_argument("--height", type=int, help="rows; default: as the embedded model")
    parser.add_argument("--width", type=int, help="columns; default: as the embedded model")
    parser.add_argument("--frame-rate", type=float, help="true frames per second of the clip")
    parser.add_argument("--precision", choices=("float32", "bfloat16"), default="float32")


def run(arguments: argparse.Namespace) -> int:
    """Writes the clip: 0 fine, 2 wrong input."""
    from pydantic import ValidationError

    try:
        _write(arguments)
    except ValidationError as error:
        for problem in error.errors():
            setting = "-".join(str(part).replace("_", "-") for part in problem["loc"])
            sys.stderr.write(f"eva-rl rollout: --{setting}: {problem['msg']}, got {problem['input']!r}\n")
        return 2
    except (OSError, ValueError) as error:
        sys.stderr.write(f"eva-rl rollout: {error}\n")
        return 2
    return 0


def _write(arguments: argparse.Namespace) -> None:
    import torch

    from eva_rl import pretrained
    from eva_rl.config.sampling import SamplingSettings
    from eva_rl.data.video_encoding import VideoWriter
    from eva_rl.evaluation.single_clip import imagine_clip
    from eva_rl.world_model.world_model import WorldModel

    sampling = SamplingSettings(
        num_steps=arguments.num_steps,
        kernel=_kernel(arguments.kernel),
        noise_level=arguments.noise_level,
        guidance=arguments.guidance,
        history_guidance=arguments.history_guidance,
    )
    condition = _condition(arguments)
    world_model = WorldModel.from_directory(
        arguments.world_model or pretrained.WORLD_MODEL,
        dtype=getattr(torch, arguments.precision),
        with_text_encoder=True,
        device="cuda" if torch.cuda.is_available() else "cpu",
    )
    if arguments.adapter:
        _apply(arguments.adapter, world_model)
    started = time.perf_counter()
    clip = imagine_clip(world_model, condition, sampling, seed=arguments.seed)
    seconds = time.perf_counter() - started
    num_frames, height, width = clip.pixels.shape[:3]
    rate = condition.frame_rate_hz
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    with VideoWriter(arguments.out, height=height, width=width, frame_rate_hz=rate) as video:
        video.write(clip.pixels)
    sys.stdout.write(
        f"{arguments.out}: {num_frames} frames of {height}x{width} at {rate:g} Hz, "
        f"{arguments.num_steps} denoising steps in {seconds:.2f} s, seed {arguments.seed}, "
        f"latents {clip.content_hash}\n"
    )
    if arguments.idm:
        _write_positions(arguments, clip.latents, world_model, rate)


def _condition(arguments: argparse.Namespace) -> Any:
    """The picture and the sentence as the loop's record; its robot plays no part in imagining."""
    import numpy as np
    from PIL import Image, UnidentifiedImageError

    from eva_rl.config.video import VideoSettings
    from eva_rl.records.condition import Condition

    wished = {name: getattr(arguments, name) for name in ("num_frames", "height", "width")}
    wished["frame_rate_hz"] = arguments.frame_rate
    video = VideoSettings(**{name: value for name, value in wished.items() if value is not None})
    try:
        picture = Image.open(arguments.image).convert("RGB")
    except UnidentifiedImageError as error:
        raise ValueError(f"--image {arguments.image} is no picture that can be read") from error
    if not arguments.instruction.strip():
        raise ValueError("--instruction is empty: say what the robot is to do")
    if picture.size != (video.width, video.height):
        sys.stderr.write(
            f"{arguments.image} is {picture.height}x{picture.width}, "
            f"resized to {video.height}x{video.width}\n"
        )
        picture = picture.resize((video.width, video.height), Image.Resampling.BICUBIC)
    return Condition(
        condition_id=str(arguments.image.name),
        task="rollout",
        scene_seed=None,
        instruction=arguments.instruction,
        first_frame=np.asarray(picture),
        start_joints=np.zeros(14, np.float32),
        num_frames=video.num_frames,
        frame_rate_hz=video.frame_rate_hz,
        embodiment="bimanual",
    )


def _kernel(name: str) -> str:
    from eva_rl.rl.kernels import KERNELS

    if name not in KERNELS:
        raise ValueError(f"--kernel must be one of {', '.join(KERNELS)}, got {name!r}")
    return name


def _apply(adapter: Path, world_model: Any) -> None:
    """Attaches the adapter as its file says and loads it."""
    from eva_rl.world_model.adapter_files import load_adapter, read_adapter_files
    from eva_rl.world_model.lora import attach_adapter
    from eva_rl.world_model.two_experts import experts_of

    files = read_adapter_files(adapter)
    first = next(iter(files.values()))
    has_choice = len(experts_of(world_model.transformer)) > len(files)
    experts = EXPERTS[next(iter(files))] if has_choice else "both"
    attach_adapter(
        world_model.transformer,
        rank=first.rank,
        alpha=first.alpha,
        target_modules=first.target_modules,
        seed=0,
        experts=experts,
    )
    load_adapter(world_model.transformer, adapter)


def _write_positions(
    arguments: argparse.Namespace, latents: Any, world_model: Any, frame_rate_hz: float
) -> None:
    import numpy as np
    import torch

    from eva_rl import pretrained
    from eva_rl.idm.kinds import check_codec, open_idm, read_generated
    from eva_rl.world_model.part_hashes import hash_codec

    idm = open_idm(arguments.idm)
    idm.architecture.check_frame_period(1 / frame_rate_hz)
    check_codec(idm, lambda: hash_codec(arguments.world_model or pretrained.WORLD_MODEL))
    with torch.no_grad():
        positions = read_generated(
            idm,
            latents[None],
            decode=lambda latents: world_model.decode(latents.to(world_model.device)).cpu(),
        )
    positions = positions[0].numpy().astype(np.float32)
    file = arguments.out.with_suffix(".npy")
    np.save(file, positions)
    sys.stdout.write(
        f"{file}: joint positions [{len(positions)}, {positions.shape[1]}], rad (grippers 0..1)\n"
    )
