"""CPU time that an inverse dynamics model costs per rollout: scored, and with the gradient to the latents."""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch

from eva_rl import pretrained
from eva_rl.actors.encoder import encode_conditions
from eva_rl.actors.generator import Generator
from eva_rl.actors.scorer import Scorer
from eva_rl.config.align import AlignSettings
from eva_rl.evaluation.held_out import PreparedScene
from eva_rl.idm.kinds import AnyIdm, open_idm, read_generated
from eva_rl.records.rollout import RolloutGroup
from eva_rl.world_model.latent_codec import LatentCodec

NUM_GROUPS, NUM_REPEATS = 4, 7
Model = tuple[str, int]


def costs_of(
    settings: AlignSettings, models: Mapping[Model, Path], scenes: Sequence[PreparedScene]
) -> tuple[dict[Model, dict[str, Any]], dict[str, float]]:
    """Measures every model on the same rollouts of the shipped world model, all models in turn.

    Args:
        settings: of the scorer.
        models: model directories.
        scenes: that the rollouts are imagined from.

    Returns:
        CPU-ms per rollout and model, with the spread over repeats; and CPU-ms to encode a recorded clip.
    """
    scenes = list(islice(scenes, NUM_GROUPS))
    pixels = torch.from_numpy(np.stack([scene.real_frames for scene in scenes]))
    codec = LatentCodec.from_directory(pretrained.WORLD_MODEL)
    groups = _rollouts(settings, scenes)
    num_rollouts = sum(len(group.final_latents) for group in groups)
    calls: dict[tuple[Model, str], Callable[[], object]] = {}
    for name, directory in models.items():
        scorer = Scorer(settings, str(pretrained.WORLD_MODEL), str(directory))
        idm = open_idm(directory)
        calls[name, "scoring"] = lambda scorer=scorer: scorer.score(*groups)
        calls[name, "gradient"] = lambda idm=idm: _backpropagate(idm, codec, groups)
    taken: dict[tuple[Model, str], list[float]] = {key: [] for key in calls}
    encoding = []
    for _ in range(NUM_REPEATS + 1):
        encoding.append(_cpu_ms(lambda: codec.encode_frames(pixels)) / len(pixels))
        for key, call in calls.items():
            taken[key].append(_cpu_ms(call) / num_rollouts)
    found: dict[Model, dict[str, Any]] = {name: {} for name in models}
    for (name, what), values in taken.items():
        found[name][f"{what}_cpu_ms_per_rollout"] = _spread(values)
    return found, _spread(encoding)


def _rollouts(settings: AlignSettings, scenes: Sequence[PreparedScene]) -> list[RolloutGroup]:
    encoded = encode_conditions(str(pretrained.WORLD_MODEL), [scene.condition for scene in scenes])
    generator = Generator(settings, str(pretrained.WORLD_MODEL))
    return [generator.generate_group(condition, 0) for condition in encoded]


def _backpropagate(idm: AnyIdm, codec: LatentCodec, groups: Sequence[RolloutGroup]) -> None:
    for group in groups:
        leaf = group.final_latents.clone().requires_grad_()
        read_generated(idm, leaf, decode=codec.decode).square().sum().backward()


def _cpu_ms(call: Callable[[], object]) -> float:
    started = time.process_time()
    call()
    return 1000 * (time.process_time() - started)


def _spread(values: Sequence[float]) -> dict[str, float]:
    """Without the first repeat, which warms up."""
    return {"median": statistics.median(values[1:]), "low": min(values[1:]), "high": max(values[1:])}
