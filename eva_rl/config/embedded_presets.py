"""Configurations of this project that fit the embedded robot, one per algorithm.

All sample in four denoising steps, in training and evaluation. `embedded_direct` is what `make align` runs;
`paper` is Flow-GRPO with the engineering that this size needs. The others are arms of the benchmarks.
"""

from collections.abc import Mapping
from typing import Any

from eva_rl.config.algorithm import AlgorithmSettings
from eva_rl.config.preset import Preset
from eva_rl.config.sampling import SamplingSettings

_SOURCE = "this project, embedded robot"
_FORK: dict[str, Any] = {"num_steps": 4, "noise_level": 0.3, "window_end_step": 2}
_NO_FORK: dict[str, Any] = {"num_steps": 4, "shares_prefix": False, "antithetic": False}
_BATCH: dict[str, Any] = {"groups_per_step": 16, "group_size": 8}
_OPTIMISER: dict[str, Any] = {"learning_rate": 1e-3, "warmup_steps": 10, "decay": "linear"}

EMBEDDED: Mapping[str, Preset] = {
    "paper": Preset(
        source=f"{_SOURCE}: Flow-GRPO with one early stochastic step, forked from a shared prefix",
        sampling=SamplingSettings(**_FORK),
        algorithm=AlgorithmSettings(**_BATCH),
        learner=_OPTIMISER,
    ),
    "embedded_credit": Preset(
        source=f"{_SOURCE}: the same, with one advantage per latent frame and arm",
        sampling=SamplingSettings(**_FORK),
        algorithm=AlgorithmSettings(**_BATCH, credit="frames_and_arms"),
        learner=_OPTIMISER,
    ),
    "embedded_late_fork": Preset(
        source=f"{_SOURCE}: the same, forked one step later, where more of the path is shared",
        sampling=SamplingSettings(**{**_FORK, "window_first_step": 2, "window_end_step": 3}),
        algorithm=AlgorithmSettings(**_BATCH),
        learner=_OPTIMISER,
    ),
    "embedded_windowed": Preset(
        source=f"{_SOURCE}: the same window, every rollout from its own noise",
        sampling=SamplingSettings(**_FORK, shares_prefix=False, antithetic=False),
        algorithm=AlgorithmSettings(**_BATCH),
        learner=_OPTIMISER,
    ),
    "embedded_classic": Preset(
        source=f"{_SOURCE}: Flow-GRPO's structure, all steps but the last stochastic and trained",
        sampling=SamplingSettings(**_NO_FORK, noise_level=0.3, window="all_but_last"),
        algorithm=AlgorithmSettings(**_BATCH),
        learner=_OPTIMISER,
    ),
    "embedded_cps": Preset(
        source=f"{_SOURCE}: coefficients-preserving noise at the fork",
        sampling=SamplingSettings(**_FORK, kernel="cps"),
        algorithm=AlgorithmSettings(**_BATCH, kl_form="mean", kl_beta=0.01),
        learner=_OPTIMISER,
    ),
    "embedded_nft": Preset(
        source=f"{_SOURCE}: DiffusionNFT at this size",
        sampling=SamplingSettings(**_NO_FORK),
        algorithm=AlgorithmSettings(**_BATCH, loss="nft", kl_form="velocity", kl_beta=1e-4),
        learner=_OPTIMISER,
    ),
    "embedded_awm": Preset(
        source=f"{_SOURCE}: advantage-weighted matching at this size",
        sampling=SamplingSettings(**_NO_FORK),
        algorithm=AlgorithmSettings(
            **_BATCH, loss="awm", advantage_clip=1.0, ratio_clip=None, kl_form="velocity", kl_beta=1e-3
        ),
        learner=_OPTIMISER,
    ),
    "embedded_raft": Preset(
        source=f"{_SOURCE}: fine-tuning on the best of each group, anchored on demonstrations",
        sampling=SamplingSettings(**_NO_FORK),
        algorithm=AlgorithmSettings(
            **_BATCH, loss="raft", keep_per_group=1, kl_form="velocity", kl_beta=0.0, anchor_weight=1.0
        ),
        learner=_OPTIMISER,
    ),
    "embedded_direct": Preset(
        source=f"{_SOURCE}: the reward's own gradient through the last two denoising steps, codec and IDM",
        sampling=SamplingSettings(**_NO_FORK),
        algorithm=AlgorithmSettings(
            groups_per_step=16,
            group_size=1,
            loss="direct",
            backprop_steps=2,
            soft_gripper_weight=5.0,
            kl_form="velocity",
            kl_beta=1.0,
        ),
        learner={"learning_rate": 2e-3, "warmup_steps": 5, "decay": "constant"},
    ),
}
