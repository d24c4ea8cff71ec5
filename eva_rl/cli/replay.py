"""`eva-rl replay RUN ROLLOUT_ID`: one rollout of a run, made again."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # the model libraries: `--help` need not wait for them
    from eva_rl.config.align import AlignSettings
    from eva_rl.driver.rollout_replay import ReplayedRollout
    from eva_rl.driver.run_directory import RunDirectory
    from eva_rl.records.rollout_id import RolloutId

PURPOSE = "Make one rollout of a run again from its record, write mp4 and npz, say what differs if it does."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument("run", type=Path, help="run directory")
    parser.add_argument(
        "rollout",
        metavar="ROLLOUT_ID",
        help="TRAINING_STEP/CONDITION_ID/MEMBER as in ledger.jsonl, e.g. 12/click_bell/episode0/seen/3",
    )
    parser.add_argument("--out", type=Path, help="files without ending; default: RUN/replays/<ROLLOUT_ID>")


def run(arguments: argparse.Namespace) -> int:
    """Writes the rollout: 0 it is as recorded, 1 it differs, 2 it cannot be made again."""
    from eva_rl.checkpoints.manifest import CheckpointError
    from eva_rl.driver.run_directory import RunDirectory
    from eva_rl.records.rollout_id import RolloutId

    directory = RunDirectory(arguments.run)
    try:
        if not directory.settings.is_file():
            raise ValueError(f"{directory.path} is no run directory: it has no settings.yaml")
        settings, replayed = _replay(directory, RolloutId.parse(arguments.rollout))
    except (CheckpointError, OSError, ValueError) as error:
        sys.stderr.write(f"eva-rl replay: {error}\n")
        return 2
    out = arguments.out or directory.path / "replays" / arguments.rollout.replace("/", "_")
    _write(out, replayed, frame_rate_hz=settings.video.frame_rate_hz)
    sys.stdout.write(f"{out}.mp4, {out}.npz: reward {replayed.reward:.6g}\n")
    sys.stdout.writelines(f"differs in {difference}\n" for difference in replayed.differences)
    if not replayed.differences:
        sys.stdout.write("latents, joint motion and reward are as recorded, bit for bit\n")
        return 0
    sys.stdout.writelines(f"made then and now with another {line}\n" for line in _moved(directory))
    return 1


def _replay(directory: "RunDirectory", rollout: "RolloutId") -> "tuple[AlignSettings, ReplayedRollout]":
    import yaml

    from eva_rl import pretrained
    from eva_rl.config.align import AlignSettings
    from eva_rl.driver.ray_session import ray_session

    settings = AlignSettings.model_validate(yaml.safe_load(directory.settings.read_text()))
    with ray_session(settings.cluster):
        from eva_rl.driver.condition_schedule import ConditionSchedule
        from eva_rl.driver.condition_stage import load_conditions
        from eva_rl.driver.rollout_replay import find_record, replay_rollout
        from eva_rl.driver.saving import store_of_run

        record = find_record(directory, store_of_run(directory), rollout)
        models = {
            "world_model": str((settings.world_model.directory or pretrained.WORLD_MODEL).resolve()),
            "idm": str((settings.idm.directory or pretrained.IDM).resolve()),
        }
        recorded = settings.data.directory or directory.demonstrations
        conditions, _ = load_conditions(settings, recorded, world_model=models["world_model"])
        schedule = ConditionSchedule(
            conditions, groups_per_step=settings.algorithm.groups_per_step, seed=settings.run.seed
        )
        batch = schedule.batch(rollout.training_step)
        return settings, replay_rollout(settings, record, batch, **models)


def _write(out: Path, replayed: Any, *, frame_rate_hz: float) -> None:
    import numpy as np

    from eva_rl.data.video_encoding import VideoWriter

    out.parent.mkdir(parents=True, exist_ok=True)
    _, height, width, _ = replayed.frames.shape
    movie = out.with_name(f"{out.name}.mp4")
    with VideoWriter(movie, height=height, width=width, frame_rate_hz=frame_rate_hz) as video:
        video.write(replayed.frames)
    np.savez_compressed(out.with_name(f"{out.name}.npz"), **replayed.arrays())


def _moved(directory: "RunDirectory") -> list[str]:
    """What code, versions and hardware have changed since the run, which may be why."""
    import json

    from eva_rl.driver.provenance import describe_run

    then = json.loads(directory.provenance.read_text())
    now = describe_run(seed=then["seed"], model_directories={})
    names = ("commit", "sources", "versions", "hardware")
    return [f"{name}: {then.get(name)} | {now[name]}" for name in names if then.get(name) != now[name]]
