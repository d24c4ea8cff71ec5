"""What the models of `idm_kinds.py` read on fresh scenes, what comes of executing it, and what it costs."""

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from torch import Tensor

from benchmarks.idm_costs import NUM_REPEATS, Model, costs_of
from benchmarks.reporting import show_and_write
from eva_rl import pretrained
from eva_rl.config.align import AlignSettings
from eva_rl.config.reward import RewardSettings
from eva_rl.driver.provenance import describe_run
from eva_rl.evaluation.held_out import PreparedScene, planned_scenes
from eva_rl.evaluation.intervals import proportion
from eva_rl.idm.accuracy import frame_accuracy, gripper_accuracy, joint_rmse
from eva_rl.idm.kinds import AnyIdm, open_idm, read_generated
from eva_rl.world_model.latent_codec import LatentCodec

GRIPPERS = (6, 13)
JOINTS = [index for index in range(14) if index not in GRIPPERS]
EXPERT: Model = ("expert", 0)
TITLE = "Inverse dynamics models at equal CPU-seconds of training, on fresh scenes [95 %]"
Read = Callable[[AnyIdm, LatentCodec, Tensor], Tensor]


def _from_frames(idm: AnyIdm, codec: LatentCodec, pixels: Tensor) -> Tensor:
    """Recorded frames as they are; a model of latents is given their latents."""
    if idm.reads == "latents":
        return idm.decode_positions(codec.encode_frames(pixels))
    return idm.decode_positions(pixels.permute(0, 1, 4, 2, 3).float() / 127.5 - 1.0)


def _through_codec(idm: AnyIdm, codec: LatentCodec, pixels: Tensor) -> Tensor:
    """What a scorer reads: latents, decoded for a model that reads frames."""
    return read_generated(idm, codec.encode_frames(pixels), decode=codec.decode)


VIEWS: Mapping[str, Read] = {"frames": _from_frames, "codec": _through_codec}


@dataclass
class Readings:
    """Positions that one model read of every scene in one view, and how their execution ended."""

    positions: list[Tensor] = field(default_factory=list)
    successes: list[bool] = field(default_factory=list)
    monitored: list[bool] = field(default_factory=list)

    def add(self, positions: Tensor, scene: PreparedScene) -> None:
        """Executes what was read in a scene."""
        execution = scene.scene.execute(positions[0].numpy())
        self.positions.append(positions)
        self.successes.append(bool(execution.success))
        self.monitored.append(bool(execution.monitored_success))

    def summary(self, actions: Tensor, *, frame_rate_hz: float) -> dict[str, Any]:
        """Errors against the expert's drive targets, and executed success with Wilson intervals."""
        read = torch.cat(self.positions)
        bends = (read - actions)[..., JOINTS].diff(n=2, dim=1) * frame_rate_hz**2
        return {
            "joint_rmse_rad": joint_rmse(read, actions, gripper_dimensions=GRIPPERS),
            "frame_accuracy": frame_accuracy(read, actions, gripper_dimensions=GRIPPERS),
            "gripper_accuracy": gripper_accuracy(read, actions, gripper_dimensions=GRIPPERS),
            "acceleration_rmse_rad_s2": bends.square().mean().sqrt().item(),
            "num_scenes": len(self.successes),
            "success": _share(self.successes),
            "monitored_success": _share(self.monitored),
        }


def measure_all(arguments: argparse.Namespace, *, models: Mapping[Model, Path]) -> None:
    """Reads fresh scenes with every model, times scoring and backpropagation, writes JSON and Markdown.

    Args:
        arguments: of `idm_kinds.py`.
        models: model directories by kind and seed.
    """
    torch.set_num_threads(1)
    settings = AlignSettings(reward=RewardSettings(rerendered_per_group=0))
    opened = {name: open_idm(directory) for name, directory in models.items()}
    readings, actions = _read_scenes(settings, opened, num_scenes=arguments.num_scenes)
    costs, encoding = costs_of(settings, models, list(_scenes(settings, 1)))
    rate = settings.video.frame_rate_hz
    rows = [
        {
            "kind": name[0],
            "seed": name[1],
            **_training_of(directory),
            **{view: readings[name, view].summary(actions, frame_rate_hz=rate) for view in VIEWS},
            **costs[name],
        }
        for name, directory in models.items()
    ]
    results = {
        "provenance": describe_run(
            seed=arguments.seeds[0],
            model_directories={"world_model": Path(os.path.relpath(pretrained.WORLD_MODEL))},
        ),
        "settings": {
            key: value for key, value in vars(arguments).items() if key not in ("directory", "result")
        },
        "num_scenes": len(actions),
        "num_repeats_of_costs": NUM_REPEATS,
        "expert": readings[EXPERT, "frames"].summary(actions, frame_rate_hz=rate),
        "encoding_cpu_ms_per_clip": encoding,
        "models": rows,
    }
    file = arguments.result or arguments.directory / "results.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(results, indent=1) + "\n")
    show_and_write({TITLE: _table(rows)}, file.with_suffix(".md"), console=Console())
    sys.stdout.write(f"Results: {file}\n")


def _training_of(directory: Path) -> dict[str, Any]:
    """What the model's card says of its training."""
    card = json.loads((directory / "card.json").read_text())
    kept = {key: card["metrics"][key] for key in ("step", "cpu_s", "validation/loss")}
    curve = [
        json.loads(line) for line in (directory.parent / "job" / "metrics.jsonl").read_text().splitlines()
    ]
    return {
        "num_parameters": card["num_parameters"],
        "trained_at_commit": card["provenance"]["commit"],
        "kept": kept,
        "last": {"step": curve[-1]["step"], "cpu_s": curve[-1]["cpu_s"]},
        "rmse_over_cpu_s": [[row["cpu_s"], row["validation/joint_rmse_rad"]] for row in curve],
    }


def _read_scenes(
    settings: AlignSettings, models: Mapping[Model, AnyIdm], *, num_scenes: int
) -> tuple[dict[tuple[Model, str], Readings], Tensor]:
    """Readings of every model, view and scene; the expert's own targets are executed too."""
    codec = LatentCodec.from_directory(pretrained.WORLD_MODEL)
    found = {(name, view): Readings() for name in [*models, EXPERT] for view in VIEWS}
    actions = []
    for scene in _scenes(settings, num_scenes):
        pixels = torch.from_numpy(np.array(scene.real_frames))[None]
        actions.append(torch.from_numpy(np.array(scene.expert_actions)).float()[None])
        found[EXPERT, "frames"].add(actions[-1], scene)
        for name, idm in models.items():
            for view, read in VIEWS.items():
                with torch.no_grad():
                    found[name, view].add(read(idm, codec, pixels), scene)
    return found, torch.cat(actions)


def _scenes(settings: AlignSettings, num_per_task: int) -> Iterator[PreparedScene]:
    evaluation = settings.evaluation.model_copy(
        update={"num_conditions": num_per_task * len(settings.robot.tasks)}
    )
    for scene in planned_scenes(settings.robot.tasks, evaluation, video=settings.video, robot=settings.robot):
        yield PreparedScene(scene, video=settings.video, robot=settings.robot, instruction_split="seen")


def _share(found: Sequence[bool]) -> dict[str, float]:
    estimate = proportion(found)
    return {"value": estimate.value, "low": estimate.low, "high": estimate.high}


def _table(rows: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[list[str]]]:
    headings = ["kind", "seed", "steps", "RMSE rad, frames", "after the codec", "paper's accuracy %"]
    headings += ["acceleration error rad/s2", "executed success %", "scoring CPU-ms", "gradient CPU-ms"]
    cells = []
    for row in rows:
        frames, codec = row["frames"], row["codec"]
        cells.append(
            [
                row["kind"],
                str(row["seed"]),
                str(row["last"]["step"]),
                f"{frames['joint_rmse_rad']:.4f}",
                f"{codec['joint_rmse_rad']:.4f}",
                f"{100 * codec['frame_accuracy']:.1f}",
                f"{codec['acceleration_rmse_rad_s2']:.2f}",
                _percent(codec["success"]),
                f"{row['scoring_cpu_ms_per_rollout']['median']:.2f}",
                f"{row['gradient_cpu_ms_per_rollout']['median']:.2f}",
            ]
        )
    return headings, cells


def _percent(share: Mapping[str, float]) -> str:
    return "{value:.1f} [{low:.1f}, {high:.1f}]".format(**{key: 100 * value for key, value in share.items()})
