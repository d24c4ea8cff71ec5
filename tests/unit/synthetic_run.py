"""A run directory as a real run writes it, through the real sinks and stores, with invented numbers."""

import json
from pathlib import Path

import numpy as np
import yaml

from eva_rl.config.align import AlignSettings
from eva_rl.evaluation.comparison import compare, comparison_as_data
from eva_rl.evaluation.held_out import PreparedScene, held_out_scenes
from eva_rl.evaluation.quantities import summarise
from eva_rl.evaluation.store import write_clips, write_outcomes, write_reports
from eva_rl.metrics import JsonlSink, MetricSinks
from eva_rl.records.evaluation import Clip, HeldOutScene, Outcome

NUM_STEPS = 60
SUCCESS_RATES = {"expert": 1.0, "idm_on_real_video": 0.97, "codec_round_trip": 0.95, "world_model": 0.5}


def write_synthetic_run(
    directory: Path, *, num_conditions: int = 200, num_clips: int = 2, hostile: str = ""
) -> Path:
    """Writes every file of the run directory's contract.

    Args:
        directory: made if missing.
        num_conditions: held-out conditions on each side.
        num_clips: scenes with videos.
        hostile: appended to every string that a user or a data set chooses.
    """
    settings = AlignSettings.model_validate(
        {
            "run": {"name": "embedded" + hostile},
            "evaluation": {"num_conditions": num_conditions},
            "adapter": {"rank": 8, "target_modules": ["to_q" + hostile]},
        }
    )
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "settings.yaml").write_text(
        yaml.safe_dump(settings.model_dump(mode="json"), sort_keys=False)
    )
    (directory / "provenance.json").write_text(json.dumps(_provenance(hostile)))
    _write_metrics(directory / "metrics.jsonl")
    scenes = held_out_scenes(settings.robot.tasks, settings.evaluation)
    before = outcomes(scenes, success_rate=0.46, seed=1)
    after = outcomes(scenes, success_rate=0.58, seed=1, calm=0.55)
    evaluation = directory / "evaluation"
    write_outcomes(evaluation / "before.parquet", before)
    write_outcomes(evaluation / "after.parquet", after)
    write_reports(
        evaluation / "summary.json",
        {"before": summarise("world_model", before), "after": summarise("world_model", after)},
    )
    write_reports(
        evaluation / "ladder.json",
        {
            rung: summarise(rung, outcomes(scenes[:60], success_rate=rate, rung=rung, seed=2))
            for rung, rate in SUCCESS_RATES.items()
            if rung != "world_model"
        },
    )
    (directory / "summary.json").write_text(json.dumps(comparison_as_data(compare(before, after)), indent=1))
    for side, noise in (("before", 0.05), ("after", 0.02)):
        clips = [_clip(scene, settings, noise=noise, hostile=hostile) for scene in scenes[:num_clips]]
        write_clips(evaluation / "clips", clips, side=side)
    checkpoint = directory / "checkpoints" / "step_000060"
    checkpoint.mkdir(parents=True)
    (checkpoint / "manifest.json").write_text("{}")
    return directory


def outcomes(
    scenes: list[HeldOutScene],
    *,
    success_rate: float,
    seed: int,
    rung: str = "world_model",
    calm: float = 1.0,
) -> list[Outcome]:
    """Invents outcomes; equal seeds share luck between conditions, so before and after are correlated."""
    generator = np.random.default_rng(seed)
    return [_outcome(scene, generator, rung=rung, success_rate=success_rate, calm=calm) for scene in scenes]


def _outcome(
    scene: HeldOutScene, generator: np.random.Generator, *, rung: str, success_rate: float, calm: float
) -> Outcome:
    luck, spread = generator.uniform(size=2)
    success = bool(luck < success_rate + 0.08)
    too_fast, too_hard = int(3 * calm * spread), int(4 * calm * spread * luck)
    penalty = 900 * calm * (1 + spread)
    return Outcome(
        condition_id=f"{scene.task}/scene{scene.scene_seed}/unseen",
        task=scene.task,
        scene_seed=scene.scene_seed,
        instruction=f"do {scene.task}",
        rung=rung,
        success=success,
        monitored_success=bool(luck < success_rate) and success,
        reward=10 * (1 + penalty / 900) ** -0.5,
        penalty=penalty,
        terms={"jerk": 0.8 * penalty, "acceleration": 0.2 * penalty},
        violations={
            "position": 0, "velocity": too_fast, "acceleration": too_hard,
            "arm_contact": 0, "table_contact": 0,
        },
        rms_jerk=12 * calm * (0.7 + spread),
        peak_acceleration=9 * calm * (0.7 + spread),
        path_length_rad=4.9 + 0.3 * spread * calm,
        expert_path_length_rad=4.9,
        tracking_error_rad=0.05 + 0.02 * luck,
        arm_rmse_rad=0.03 + 0.02 * luck,
    )  # fmt: skip


def _clip(scene: HeldOutScene, settings: AlignSettings, *, noise: float, hostile: str) -> Clip:
    prepared = PreparedScene(
        scene,
        video=settings.video,
        robot=settings.robot,
        instruction_split=settings.evaluation.instruction_split,
    )
    generator = np.random.default_rng(0)
    jitter = noise * generator.standard_normal(prepared.expert_actions.shape)
    grain = 255 * noise * generator.standard_normal(prepared.real_frames.shape)
    return Clip(
        condition_id=prepared.condition.condition_id,
        task=scene.task,
        instruction=prepared.condition.instruction + hostile,
        real_frames=prepared.real_frames,
        generated_frames=(prepared.real_frames + grain).clip(0, 255).astype(np.uint8),
        real_positions=prepared.expert_actions,
        generated_positions=(prepared.expert_actions + jitter).astype(np.float32),
        success=noise < 0.04,
        monitored_success=noise < 0.04,
    )


def _write_metrics(file: Path) -> None:
    generator = np.random.default_rng(0)
    sinks = MetricSinks([JsonlSink(file)])
    for step in range(NUM_STEPS):
        progress, wobble = step / NUM_STEPS, generator.standard_normal()
        row = {
            "reward/mean": 6.1 + 1.4 * progress + 0.15 * wobble,
            "reward/std_within_group": 0.5 + 0.05 * generator.standard_normal(),
            "reward/penalty": 1500 - 700 * progress + 60 * wobble,
            "reward/term/jerk": 1200 - 600 * progress + 50 * wobble,
            "reward/term/acceleration": 200 - 60 * progress,
            "reward/term/velocity_limit": 60 * (1 - progress),
            "reward/term/acceleration_limit": 40 * (1 - progress) ** 2,
            "reward/abstained": 0.0,
            "advantage/zero_variance_share": 0.0,
            "learner/loss": 0.01 * wobble,
            "learner/policy_loss": 0.01 * wobble,
            "learner/kl": 0.002 * progress,
            "learner/max_ratio_deviation": 1e-6 * (1 + abs(wobble)),
            "learner/clip_fraction": 0.0,
            "learner/grad_norm": float("nan") if step == 7 else 0.4 + 0.1 * abs(wobble),
            "learner/learning_rate": 1e-3 * min(1.0, (step + 1) / 5),
            "motion/path_length_rad": 5.2 - 0.1 * progress,
            "rollouts/staleness": 0.0,
            "rollouts/per_s": 14.0 + wobble,
            "sync/adapter_bytes": 1.3e6,
            "time/generate_s": 2.1 + 0.1 * wobble,
            "time/score_s": 0.9,
            "time/learn_s": 1.6,
            "time/sync_s": 0.02,
            "time/wait_s": 2.4,
            "time/step_s": 4.1 + 0.1 * wobble,
        }
        sinks.write(step, row)
    sinks.close()


def _provenance(hostile: str) -> dict[str, object]:
    return {
        "command": "python recipes/robotwin_align.py --adapter.rank 8" + hostile,
        "seed": 0,
        "commit": "b0318e8c1f2a",
        "started": "2026-03-02T10:00:00+00:00",
        "finished": "2026-03-02T10:14:31+00:00",
        "versions": {"eva-rl": "0.1.0", "ray": "2.60.0", "torch": "2.13.0"},
        "hardware": {"processor": "an ordinary one", "cores": 2, "memory_gib": 8.0, "gpus": "none"},
        "world_model": {"directory": "models/world_model", "hash": "9f86d081884c7d65"},
        "idm": {"directory": "models/idm", "hash": "60303ae22b998861"},
        "penalty_scale": 1493.5,
    }
