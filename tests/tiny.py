"""Models small enough to train in a second, made of the same classes as the real ones."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch

from eva_rl.config.align import AlignSettings
from eva_rl.config.loading import load_settings
from eva_rl.config.rules import ALIGN_RULES
from eva_rl.idm.architecture import IdmArchitecture
from eva_rl.idm.latent import LatentIdm
from eva_rl.idm.latent_architecture import LatentIdmArchitecture
from eva_rl.idm.network import InverseDynamicsModel
from eva_rl.records.condition import Condition, EncodedCondition
from eva_rl.world_model.codec_fit import fit_linear_patch_codec
from eva_rl.world_model.creation import create_tiny_wan_directory
from eva_rl.world_model.world_model import WorldModel

INSTRUCTIONS = ("lift the red block", "press the blue bell")
SIZE, NUM_FRAMES, DIMENSIONS = 16, 5, 14


@dataclass(frozen=True)
class TinyModels:
    """Directories of a world model and an inverse dynamics model with random weights."""

    world_model: str
    idm: str


@pytest.fixture(scope="session")
def tiny_models(tmp_path_factory):
    root = tmp_path_factory.mktemp("models")
    torch.manual_seed(0)
    frames = torch.from_numpy(
        np.random.default_rng(0).integers(0, 256, (16, NUM_FRAMES, SIZE, SIZE, 3), np.uint8)
    )
    create_tiny_wan_directory(
        root / "world_model",
        codec=fit_linear_patch_codec(frames, channels=8, seed=0),
        instructions=INSTRUCTIONS,
        seed=0,
        dim=32,
        num_layers=1,
        num_heads=2,
        ffn_dim=32,
        text_dim=16,
    )
    architecture = IdmArchitecture(
        height=SIZE,
        width=SIZE,
        num_dimensions=DIMENSIONS,
        gripper_dimensions=(6, 13),
        frame_period_s=0.2,
        channels=(8, 8, 8),
        num_keypoints=4,
        frame_features=16,
        window_features=16,
    )
    InverseDynamicsModel(architecture).save(root / "idm")
    return TinyModels(world_model=str(root / "world_model"), idm=str(root / "idm"))


def save_tiny_latent_idm(directory, *, codec):
    """An inverse dynamics model with random weights that reads the latents of the tiny world models."""
    architecture = LatentIdmArchitecture(
        codec=codec,
        latent_channels=8,
        latent_height=2,
        latent_width=2,
        frames_per_latent=4,
        num_dimensions=DIMENSIONS,
        gripper_dimensions=(6, 13),
        frame_period_s=0.2,
        channels=(8, 8, 8),
        num_keypoints=4,
        frame_features=16,
        window_features=16,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        LatentIdm(architecture).save(directory)
    return str(directory)


@pytest.fixture(scope="session")
def tiny_conditions(tiny_models):
    """Four encoded conditions with random first frames."""
    world_model = WorldModel.from_directory(tiny_models.world_model, with_text_encoder=True)
    generator = np.random.default_rng(1)
    encoded = []
    for index in range(4):
        condition = Condition(
            condition_id=f"task/episode{index}",
            task="task",
            scene_seed=None,
            instruction=INSTRUCTIONS[index % 2],
            first_frame=generator.integers(0, 256, (SIZE, SIZE, 3), np.uint8),
            start_joints=np.zeros(DIMENSIONS, np.float32),
            num_frames=NUM_FRAMES,
            frame_rate_hz=5.0,
            embodiment="bimanual",
        )
        frames = torch.from_numpy(condition.first_frame)[None, None]
        tensors = world_model.encode_conditions([condition], with_empty_text=True)
        encoded.append(
            EncodedCondition(
                condition=condition,
                tensors=tensors.rows()[0],
                demonstration=world_model.encode_frames(frames.expand(-1, NUM_FRAMES, -1, -1, -1))[0],
            )
        )
    return encoded


def tiny_settings(**overrides):
    """Settings that fit the tiny models; keys such as `learner__num_ranks`."""
    defaults = {
        "video__height": SIZE,
        "video__width": SIZE,
        "video__num_frames": NUM_FRAMES,
        "adapter__rank": 2,
        "adapter__alpha": 4,
        "algorithm__groups_per_step": 2,
        "algorithm__group_size": 4,
        "algorithm__kl_beta": 0.01,
        "schedule__num_training_steps": 3,
        "schedule__checkpoint_every_steps": 1,
        "generators__count": 1,
        "generators__groups_per_call": 1,
        "generators__num_threads": 1,
        "learner__num_threads": 1,
        "learner__groups_per_micro_batch": 1,
        "learner__learning_rate": 0.01,
        "learner__warmup_steps": 0,
        "evaluation__num_evaluators": 1,
    }
    words = []
    for name, value in (defaults | overrides).items():
        words += ["--" + name.replace("__", "."), str(value)]
    return load_settings(AlignSettings, file=None, overrides=words, rules=lambda: ALIGN_RULES)
