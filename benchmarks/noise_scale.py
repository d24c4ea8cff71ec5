"""The signal and the noise of an arm's gradient, from one gradient per group of rollouts.

With mean g and covariance S over groups, a batch of B groups has a signal-to-noise ratio of
sqrt(B |g|^2 / tr S); it is 1 at the noise scale B = tr S / |g|^2 ("simple noise scale", arXiv 1812.06162,
eq. 2.9), and batches far below it are mostly noise.
"""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from eva_rl.actors.learning_rules import learning_rule
from eva_rl.actors.policy import open_policy
from eva_rl.config.align import AlignSettings
from eva_rl.driver.credit import CreditAssignment
from eva_rl.driver.scores import BatchScores
from eva_rl.driver.solo import SoloRun
from eva_rl.records.condition import EncodedCondition
from eva_rl.world_model.adapter_io import read_adapter
from eva_rl.world_model.lora import adapter_parameters

NUM_RESAMPLES = 1000


@dataclass(frozen=True, kw_only=True)
class NoiseScale:
    """Groups that make a gradient of signal-to-noise ratio 1; infinite where no signal was found.

    Attributes:
        value: from all groups.
        low, high: 95 % bootstrap over groups.
    """

    value: float
    low: float
    high: float


def noise_scale(
    gram: Float[np.ndarray, "groups groups"], *, num_resamples: int = NUM_RESAMPLES
) -> NoiseScale:
    """Tr S / |g|^2 from the inner products of the groups' gradients.

    |g|^2 is the mean product of different groups, which noise does not bias; it may come out below 0. A
    group that is drawn twice does not count as a pair with itself.

    Args:
        gram: inner products.
        num_resamples: of the bootstrap.
    """
    generator = np.random.default_rng(0)
    drawn = generator.integers(len(gram), size=(num_resamples, len(gram)))
    found = np.array([_scale(gram, groups) for groups in drawn])
    low, high = np.quantile(found, (0.025, 0.975), method="nearest")
    return NoiseScale(value=_scale(gram, np.arange(len(gram))), low=float(low), high=float(high))


def _scale(gram: Float[np.ndarray, "groups groups"], groups: np.ndarray) -> float:
    chosen = gram[np.ix_(groups, groups)]
    is_pair = groups[:, None] != groups[None]
    signal = chosen[is_pair].mean()
    noise = np.diag(chosen).mean() - signal
    return float(noise / signal) if signal > 0 else float("inf")


def measure(
    settings: AlignSettings,
    conditions: Sequence[EncodedCondition],
    world_model: str,
    idm: str,
    *,
    num_groups: int,
) -> dict[str, Any]:
    """The noise scale of one arm, None for infinite, and what a group costs.

    Args:
        settings: of the arm.
        conditions: encoded.
        world_model: directory.
        idm: directory.
        num_groups: rounded up to whole batches.
    """
    run = SoloRun(settings=settings, conditions=conditions, world_model=world_model, idm=idm)
    policy = open_policy(settings, world_model)
    rule = learning_rule(settings, policy, idm_directory=idm)
    rule.prepare(run.calibration)
    rule.begin_batch(behaviour=torch.from_numpy(read_adapter(policy.transformer, 0).values))
    credit = CreditAssignment(settings, run.calibration)
    parameters = [weight for _, weight in adapter_parameters(policy.transformer)]
    gradients: list[torch.Tensor] = []
    started, step = time.process_time(), 0
    while len(gradients) < num_groups:
        groups = run.generate(step)
        scores = BatchScores.of(run.score(groups))
        weights = credit.weights(credit.advantages(scores), scores)
        for index in range(len(groups)):
            part, total = slice(index, index + 1), torch.zeros(sum(map(torch.numel, parameters)))
            for pass_index in range(rule.num_passes):
                (found,) = rule.losses(
                    groups[part], weights[part], pass_index=pass_index, network=policy.transformer
                )
                pieces = torch.autograd.grad(found.loss, parameters, allow_unused=True)
                total += torch.cat(
                    [
                        (torch.zeros_like(weight) if piece is None else piece).flatten()
                        for weight, piece in zip(parameters, pieces, strict=True)
                    ]
                )
            gradients.append(total / rule.num_passes)
        step += 1
    cpu_s = (time.process_time() - started) / len(gradients)
    matrix = torch.stack(gradients).double()
    scale, batch = noise_scale((matrix @ matrix.T).numpy()), settings.algorithm.groups_per_step
    return {
        "num_groups": len(gradients),
        "group_size": settings.algorithm.group_size,
        "silent_groups": int((matrix == 0).all(dim=1).sum()),
        "cpu_s_per_group": cpu_s,
        "noise_scale_groups": {name: _finite(groups) for name, groups in asdict(scale).items()},
        "groups_per_step": batch,
        "signal_to_noise_of_a_batch": float(np.sqrt(batch / scale.value)),
        "cpu_s_at_signal_to_noise_1": _finite(scale.value * cpu_s),
    }


def _finite(value: float) -> float | None:
    """JSON knows no infinity."""
    return value if np.isfinite(value) else None
