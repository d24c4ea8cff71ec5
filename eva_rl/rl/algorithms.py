"""Published algorithms as rows of one table; settings may start from a row and change it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from eva_rl.rl.objective import Objective
from eva_rl.rl.windows import StepWindow


@dataclass(frozen=True, kw_only=True)
class Algorithm:
    """One complete recipe: how rollouts are sampled, how they are credited, what is minimised.

    Attributes:
        source: where the numbers come from; what is ours is said.
        num_steps: denoising steps of a rollout in training.
        window: which of them are stochastic.
        shares_prefix: whether a group starts from one initial noise.
        antithetic: whether the noise of a step comes in pairs of opposite sign.
        group_size: rollouts per condition.
        advantage_std: whose standard deviation divides the centred rewards.
        advantage_clip: largest absolute advantage.
        inner_epochs: passes over one batch of rollouts.
        objective: what is minimised, with the kernel and noise level of the sampler.
    """

    source: str
    num_steps: int
    window: StepWindow
    shares_prefix: bool = False
    antithetic: bool = False
    group_size: int
    advantage_std: Literal["group", "global", "max_group"]
    advantage_clip: float = 5.0
    inner_epochs: int = 1
    objective: Objective


ALGORITHMS: Mapping[str, Algorithm] = {
    "eva_paper": Algorithm(
        source="arXiv 2603.17808; kernel, window and KL form from RobbinW/large-video-planner",
        num_steps=40,
        window=StepWindow(scheme="all_but_last"),
        group_size=8,
        advantage_std="group",
        inner_epochs=4,
        objective=Objective(
            kernel="wan",
            noise_level=1.0,
            loss="clipped_ratio",
            ratio_clip=1e-3,
            kl_form="wan",
            kl_beta=0.004,
        ),
    ),
    "flow_grpo_wan": Algorithm(
        source="yifan123/flow_grpo general_ocr_wan2_1; step weight as of commit 32b48fd",
        num_steps=20,
        window=StepWindow(scheme="all_but_last"),
        group_size=4,
        advantage_std="group",
        objective=Objective(
            kernel="wan",
            noise_level=1.0,
            loss="clipped_ratio",
            ratio_clip=1e-3,
            kl_form="wan",
            kl_beta=0.004,
            step_weight="diffusion_per_root_dt",
        ),
    ),
    "dance_grpo": Algorithm(
        source="arXiv 2505.07818; XueZeyue/DanceGRPO Wan2.1; deterministic outside the trained steps is ours",
        num_steps=20,
        window=StepWindow(scheme="random_fraction", fraction=0.6),
        shares_prefix=True,
        group_size=12,
        advantage_std="group",
        objective=Objective(
            kernel="dance",
            noise_level=0.3,
            loss="clipped_ratio",
            ratio_clip=1e-4,
            kl_form="mean",
            kl_beta=0.0,
        ),
    ),
    "mix_grpo": Algorithm(
        source="arXiv 2507.21802; Tencent-Hunyuan/MixGRPO, Flux",
        num_steps=25,
        window=StepWindow(scheme="sliding_window", size=4, slide_every_steps=25),
        group_size=12,
        advantage_std="group",
        objective=Objective(
            kernel="flow_sde",
            noise_level=0.7,
            loss="clipped_ratio",
            ratio_clip=1e-4,
            kl_form="sd3",
            kl_beta=0.0,
        ),
    ),
    "flow_grpo_fast": Algorithm(
        source="yifan123/flow_grpo README, Flow-GRPO-Fast on SD3.5 without guidance",
        num_steps=10,
        window=StepWindow(scheme="single_step", end_step=5),
        shares_prefix=True,
        group_size=24,
        advantage_std="global",
        objective=Objective(
            kernel="flow_sde",
            noise_level=0.8,
            loss="clipped_ratio",
            ratio_clip=1e-5,
            kl_form="sd3",
            kl_beta=0.0,
        ),
    ),
    "cps": Algorithm(
        source="arXiv 2509.05952; yifan123/flow_grpo, SD3.5 fast without guidance, window in the first half",
        num_steps=10,
        window=StepWindow(scheme="early_window", size=3, end_step=5),
        group_size=24,
        advantage_std="global",
        objective=Objective(
            kernel="cps",
            noise_level=0.8,
            loss="clipped_ratio",
            ratio_clip=1e-5,
            kl_form="mean",
            kl_beta=0.0,
        ),
    ),
    "grpo_guard": Algorithm(
        source="arXiv 2510.22319; clip and step weight of verl-omni, rest of flow_grpo SD3.5",
        num_steps=10,
        window=StepWindow(scheme="all_but_last"),
        group_size=24,
        advantage_std="global",
        objective=Objective(
            kernel="flow_sde",
            noise_level=0.7,
            loss="grpo_guard",
            ratio_clip=2e-6,
            kl_form="sd3",
            kl_beta=0.0,
            step_weight="inverse_dt",
        ),
    ),
    "shared_prefix": Algorithm(
        source="this project: few steps, one early fork with little noise, one network evaluation per group",
        num_steps=3,
        window=StepWindow(scheme="single_step", first_step=1, end_step=2),
        shares_prefix=True,
        antithetic=True,
        group_size=16,
        advantage_std="group",
        advantage_clip=3.0,
        objective=Objective(
            kernel="flow_sde",
            noise_level=0.3,
            loss="clipped_ratio",
            ratio_clip=1e-3,
            kl_form="velocity",
            kl_beta=0.002,
        ),
    ),
}
