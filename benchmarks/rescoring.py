"""One stored set of rollouts, executed once in the simulator and scored again under every reward variant."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import torch
from jaxtyping import Bool, Float
from scipy.stats import spearmanr

from benchmarks.arms import Models
from eva_rl.actors.encoder import encode_conditions
from eva_rl.actors.generator import Generator
from eva_rl.actors.reward_setup import reward_of
from eva_rl.config.align import AlignSettings
from eva_rl.config.presets import merged
from eva_rl.evaluation.held_out import PreparedScene, planned_scenes
from eva_rl.idm.kinds import open_idm, read_generated
from eva_rl.rewards.evidence import Evidence
from eva_rl.rewards.motion import JointMotion
from eva_rl.rewards.reward import calibrate_p0
from eva_rl.world_model.latent_codec import LatentCodec

ROLLOUTS_PER_SCENE = 2

CLIPS_PER_CALL = 16
Clips: TypeAlias = Float[torch.Tensor, "scenes members channels frames height width"]
Damage: TypeAlias = Callable[[Clips, torch.Generator], Clips]


def _noise(strength: float) -> Damage:
    """White noise on all latents but the given frame's; a latent has a spread of about 1."""

    def damage(clips: Clips, random: torch.Generator) -> Clips:
        noise = torch.randn(clips.shape, generator=random)
        noise[:, :, :, 0] = 0
        return clips + strength * noise

    return damage


def _swapped(clips: Clips, random: torch.Generator) -> Clips:
    """Two neighbouring latent frames change places: time jumps there and back."""
    return clips[:, :, :, [0, 2, 1, *range(3, clips.shape[3])]]


def _teleported(clips: Clips, random: torch.Generator) -> Clips:
    """The last latent frames are another scene's: arms and objects are suddenly elsewhere."""
    return torch.cat([clips[:, :, :, :3], clips.roll(1, dims=0)[:, :, :, 3:]], dim=3)


DAMAGES: Mapping[str, Damage] = {
    "none": lambda clips, random: clips,
    "noise 0.5": _noise(0.5),
    "noise 1": _noise(1.0),
    "noise 1.5": _noise(1.5),
    "swapped": _swapped,
    "teleported": _teleported,
}
"""What is done to the stored clips: the base model alone hardly ever fails, and a set in which everything
can be executed says nothing about a reward."""

REWARD_VARIANTS: Mapping[str, Mapping[str, Any]] = {
    "paper": {},
    "without jerk": {"term_weights": {"jerk": 0.0}},
    "without acceleration": {"term_weights": {"acceleration": 0.0}},
    "without velocity limit": {"term_weights": {"velocity_limit": 0.0}},
    "without acceleration limit": {"term_weights": {"acceleration_limit": 0.0}},
    "jerk x 0.5": {"term_weights": {"jerk": 0.25}},
    "jerk x 2": {"term_weights": {"jerk": 1.0}},
    "limits x 0.5": {"term_weights": {"velocity_limit": 1.0, "acceleration_limit": 0.5}},
    "limits x 2": {"term_weights": {"velocity_limit": 4.0, "acceleration_limit": 2.0}},
    "P0 x 0.1": {"p0_factor": 0.1},
    "P0 x 10": {"p0_factor": 10.0},
    "gamma 0.25": {"gamma": 0.25},
    "gamma 1": {"gamma": 1.0},
    "with start pose": {"term_weights": {"start_pose": 1000.0}},
    "with path ratio": {"term_weights": {"path_ratio": 20.0}},
    "with position limit": {"term_weights": {"position_limit": 1000.0}},
    "with gripper chatter": {"term_weights": {"gripper_chatter": 10.0}},
}
"""Changes to the settings of the reward; `p0_factor` and `gamma` change its shape instead of its terms."""


@dataclass(frozen=True, kw_only=True)
class StoredRollouts:
    """Decoded motion of many rollouts with what came of executing it.

    Attributes:
        positions: [rollouts, frames, dimensions], rad (grippers 0..1).
        scene: index of the scene that each belongs to.
        is_executable: whether the goal was reached and no commanded limit was broken.
        tracking_error: largest distance of an arm joint from its command, rad.
        evidence: what honest motion looks like on each scene.
    """

    positions: Float[torch.Tensor, "rollouts frames dimensions"]
    scene: np.ndarray
    is_executable: Bool[np.ndarray, " rollouts"]
    tracking_error: Float[np.ndarray, " rollouts"]
    evidence: Evidence


def store_rollouts(settings: AlignSettings, models: Models, *, num_rollouts: int) -> StoredRollouts:
    """Samples rollouts of the base policy on held-out scenes, damages them, decodes and executes them."""
    scenes = planned_scenes(
        settings.robot.tasks, settings.evaluation, video=settings.video, robot=settings.robot
    )
    scenes = scenes[: max(1, num_rollouts // (ROLLOUTS_PER_SCENE * len(DAMAGES)))]
    prepared = [
        PreparedScene(
            scene,
            video=settings.video,
            robot=settings.robot,
            instruction_split=settings.evaluation.instruction_split,
        )
        for scene in scenes
    ]
    encoded = encode_conditions(models.world_model, [scene.condition for scene in prepared])
    codec = LatentCodec.from_directory(models.world_model)
    idm = open_idm(models.idm)
    generator = Generator(_stored_with(settings), models.world_model)
    clips = torch.stack([generator.generate_group(condition, 0).final_latents for condition in encoded])
    random = torch.Generator().manual_seed(settings.run.seed)
    positions, owners = [], []
    for damage in DAMAGES.values():
        with torch.no_grad():
            damaged = damage(clips, random).flatten(0, 1)
            positions += [
                read_generated(idm, part, decode=codec.decode) for part in damaged.split(CLIPS_PER_CALL)
            ]
        owners += [index for index in range(len(clips)) for _ in range(ROLLOUTS_PER_SCENE)]
    motion = torch.cat(positions)
    executions = [
        prepared[owner].scene.execute(decoded) for owner, decoded in zip(owners, motion.numpy(), strict=True)
    ]
    return StoredRollouts(
        positions=motion,
        scene=np.array(owners),
        is_executable=np.array([execution.monitored_success for execution in executions]),
        tracking_error=np.array([execution.tracking_error_rad for execution in executions]),
        evidence=_evidence(prepared, owners, settings),
    )


def score_again(settings: AlignSettings, stored: StoredRollouts, *, seed: int) -> list[dict[str, Any]]:
    """Scores the stored rollouts under every row of REWARD_VARIANTS; one row of results each."""
    rows = []
    for name, change in REWARD_VARIANTS.items():
        rewards = _rewards(settings, stored, change)
        rows.append(
            {
                "variant": name,
                "with_execution": _correlation(rewards, stored.is_executable, seed=seed),
                "with_tracking": _correlation(rewards, -stored.tracking_error, seed=seed),
                "within_scene": _correlation(
                    _centred(rewards, stored.scene), _centred(stored.is_executable, stored.scene), seed=seed
                ),
                "reward_mean": float(rewards.mean()),
            }
        )
    return rows


def _stored_with(settings: AlignSettings) -> AlignSettings:
    changes = {
        "sampling": {"shares_prefix": False, "antithetic": False},
        "algorithm": {"group_size": ROLLOUTS_PER_SCENE},
    }
    return type(settings).model_validate(merged(settings.model_dump(), changes))


def _evidence(prepared: Sequence[PreparedScene], owners: Sequence[int], settings: AlignSettings) -> Evidence:
    reward = reward_of(settings, penalty_scale=1.0)
    experts = torch.from_numpy(np.stack([scene.expert_actions for scene in prepared])).float()
    paths = JointMotion.from_positions(experts, settings.video.frame_rate_hz)
    starts = torch.from_numpy(np.stack([scene.condition.start_joints for scene in prepared]))
    index = torch.tensor(owners)
    return Evidence(
        start_joints=starts[index], path_length=paths.path_lengths(reward.limits.is_gripper)[index]
    )


def _rewards(
    settings: AlignSettings, stored: StoredRollouts, change: Mapping[str, Any]
) -> Float[np.ndarray, " rollouts"]:
    """Rewards under a variant; P0 is calibrated anew on the same rollouts, as a run would."""
    weights = {"reward": {"term_weights": change.get("term_weights", {})}}
    varied = type(settings).model_validate(merged(settings.model_dump(), weights))
    unscaled = reward_of(varied, penalty_scale=1.0)(stored.positions, evidence=stored.evidence)
    scale = calibrate_p0(unscaled.penalties) * change.get("p0_factor", 1.0)
    form = reward_of(varied, penalty_scale=scale).form
    gamma = change.get("gamma", form.gamma)
    return (form.scale * (1 + unscaled.penalties / scale) ** -gamma).numpy()


def _centred(values: np.ndarray, scene: np.ndarray) -> np.ndarray:
    """What a group-relative algorithm sees: values minus their scene's mean."""
    means = np.bincount(scene, weights=values.astype(float)) / np.bincount(scene)
    return values - means[scene]


def _correlation(rewards: np.ndarray, truth: np.ndarray, *, seed: int) -> dict[str, float]:
    """Spearman's rank correlation with a 95 % bootstrap interval over rollouts."""
    if len(np.unique(truth)) < 2:
        return {"value": float("nan"), "low": float("nan"), "high": float("nan"), "n": len(truth)}
    random = np.random.default_rng(seed)
    draws = []
    for _ in range(400):
        pick = random.integers(len(truth), size=len(truth))
        if len(np.unique(truth[pick])) > 1:
            draws.append(_spearman(rewards[pick], truth[pick]))
    low, high = np.quantile(draws, [0.025, 0.975])
    value = _spearman(rewards, truth)
    return {"value": value, "low": float(low), "high": float(high), "n": len(truth)}


def _spearman(rewards: np.ndarray, truth: np.ndarray) -> float:
    result: Any = spearmanr(rewards, truth)
    return float(result.statistic)
