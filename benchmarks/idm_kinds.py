"""Which inverse dynamics model reads best for its cost: frames, masked frames or codec latents.

python benchmarks/idm_kinds.py                                        # 100 CPU-seconds of training each
python benchmarks/idm_kinds.py --cpu_seconds 600 --seeds 0 1 2

Every kind learns from the same recorded episodes for equal CPU-seconds, with the settings of the shipped
model. What is trained or recorded in the directory already is kept: call it again after an interruption.
"""

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
# `benchmarks` is a package of the repository, not of the installed library: for this process and Ray's
sys.path.insert(0, str(ROOT))
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))

KINDS: Mapping[str, Mapping[str, Any]] = {
    "conv": {},
    "masked": {},
    "latent": {},
}
"""What differs from the common settings, by kind; nothing does."""

COMMON = {"window_frames": 7, "acceleration_weight": 1.0}  # as the shipped model was trained
TRAINING = {"batch_size": 6, "learning_rate": 2e-3, "warmup_steps": 50, "weight_decay": 1e-3}
MANY_STEPS = 1_000_000  # the CPU budget ends training, not the steps


def main(words: Sequence[str]) -> None:
    """Records, trains, measures; writes figures and a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--directory", type=Path, default=Path("runs/idm_kinds"), help="kept between calls")
    parser.add_argument("--cpu_seconds", type=float, default=100.0, help="training of each model")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1], help="of the trainings")
    parser.add_argument("--num_episodes", type=int, default=24, help="recorded episodes per task")
    parser.add_argument("--num_scenes", type=int, default=8, help="fresh scenes per task for the measurement")
    parser.add_argument("--result", type=Path, help="JSON file; default: results.json in the directory")
    arguments = parser.parse_args(words)
    from eva_rl.config.run import ClusterSettings
    from eva_rl.driver.ray_session import prepare_environment, ray_session

    cluster = ClusterSettings(object_store_mb=512)
    prepare_environment(cluster)
    with ray_session(cluster):
        train_all(arguments)
    from benchmarks.idm_reading import measure_all

    models = {name: model_directory(arguments, *name) / "model" for name in names(arguments)}
    measure_all(arguments, models=models)


def names(arguments: argparse.Namespace) -> list[tuple[str, int]]:
    """Kind and seed of every model; the first seed of all comes before the second of any."""
    return [(kind, seed) for seed in arguments.seeds for kind in KINDS]


def model_directory(arguments: argparse.Namespace, kind: str, seed: int) -> Path:
    """Where one trained model lies; another budget is another model."""
    return arguments.directory / f"{kind}-seed{seed}-{arguments.cpu_seconds:g}s"


def train_all(arguments: argparse.Namespace) -> None:
    """Records the demonstrations and trains what is not trained yet."""
    from eva_rl.config.video import EMBEDDED_TASKS, VideoSettings
    from eva_rl.data.listing import list_episodes
    from eva_rl.pretraining.collection import collect_demonstrations

    demonstrations = arguments.directory / f"demonstrations-{arguments.num_episodes}"
    collect_demonstrations(
        demonstrations,
        tasks=EMBEDDED_TASKS,
        num_episodes_per_task=arguments.num_episodes,
        first_scene_seed=0,
        video=VideoSettings(),
    )
    files = list_episodes(demonstrations)
    for kind, seed in names(arguments):
        directory = model_directory(arguments, kind, seed)
        if not (directory / "model" / "card.json").is_file():
            _say(f"{kind}, seed {seed}: training for {arguments.cpu_seconds:g} CPU-seconds")
            _train(kind, seed, files=files, directory=directory, arguments=arguments)


def _train(
    kind: str, seed: int, *, files: Sequence[Any], directory: Path, arguments: argparse.Namespace
) -> None:
    from eva_rl import pretrained
    from eva_rl.config.pretraining import IdmSettings
    from eva_rl.driver.provenance import describe_run
    from eva_rl.pretraining.idm_training import train_idm
    from eva_rl.pretraining.loop_options import LoopOptions

    settings = IdmSettings.model_validate(
        {
            "run": {"name": "idm_kinds", "seed": seed},
            "training": {
                **TRAINING,
                "directory": directory / "model",
                "num_steps": MANY_STEPS,
                "validation_share": 0.1,
                "validate_every_steps": 250,
                "checkpoint_every_steps": 250,
            },
            "idm": {"kind": kind, "world_model": pretrained.WORLD_MODEL, **COMMON, **KINDS[kind]},
        }
    )
    train_idm(
        settings,
        files=files,
        job_directory=directory / "job",
        provenance=describe_run(seed=seed, model_directories={}),
        on_steps=lambda num_steps, note: _say(f"  {num_steps:+6} steps, {note}"),
        options=LoopOptions(cpu_budget_s=arguments.cpu_seconds),
    )


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
