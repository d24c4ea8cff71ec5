"""The LoRA weights that travel from the learner to the generators."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

HASH_DIGITS = 16


def adapter_hash(tensors: Iterable[tuple[str, NDArray[np.float32]]]) -> str:
    """The content hash of an adapter: over names, shapes and bytes.

    Args:
        tensors: contiguous float32 arrays by name, in sorted order.
    """
    digest = hashlib.sha256()
    for name, values in tensors:
        digest.update(f"{name} {tuple(values.shape)} ".encode())
        digest.update(values.data)
    return digest.hexdigest()[:HASH_DIGITS]


@dataclass(frozen=True, kw_only=True)
class AdapterVersion:
    """Names one state of the adapter.

    Example:
        AdapterVersion(training_step=7, content_hash="9f86d081884c7d65")

    Attributes:
        training_step: number of training steps that made it; 0 is the untouched adapter.
        content_hash: first 16 hex digits of the SHA-256 of names, shapes and bytes.
    """

    training_step: int
    content_hash: str


@dataclass(frozen=True, kw_only=True)
class AdapterWeights:
    """One adapter as a single flat buffer: one object, one copy, one hash.

    Example:
        AdapterWeights(version=AdapterVersion(...), values=float32[327680])

    Attributes:
        values: all LoRA tensors in sorted name order, flattened and concatenated, float32.
    """

    version: AdapterVersion
    values: NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class LearnerUpdate:
    """What the learner returns after one training step.

    Example:
        LearnerUpdate(weights=AdapterWeights(...), metrics={"learner/kl": 0.002, "learner/loss": -0.1})

    Attributes:
        weights: the new adapter.
        metrics: scalars under names declared in `eva_rl.metrics`.
    """

    weights: AdapterWeights
    metrics: dict[str, float]
