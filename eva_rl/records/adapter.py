"""The LoRA weights that travel from the learner to the generators."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


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
