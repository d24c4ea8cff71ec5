"""Rewards of a group, with the share of every term."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from jaxtyping import Bool, Float
from torch import Tensor

from eva_rl.records.adapter import AdapterVersion


@dataclass(frozen=True, kw_only=True)
class RewardBreakdown:
    """Rewards of the rollouts of one group and what they are made of.

    Example:
        RewardBreakdown(rewards=tensor([7.9, 6.1]), penalties=tensor([1.2, 3.4]),
                        terms={"jerk": tensor([0.9, 2.8]), "acceleration": tensor([0.3, 0.6])},
                        judged=tensor([True, True]))

    Attributes:
        rewards: higher is better; NaN where the scorer abstained.
        penalties: weighted sum of the terms, exactly.
        terms: weighted cost per named term, >= 0, lower is better.
        judged: False where the scorer could not judge the rollout: it leaves its group.
        cells: reward LOST (>= 0, lower is better) by what each latent frame and arm may have caused, for
            structured credit; None unless it was asked for. Latent frame 0 is given and loses nothing.
    """

    rewards: Float[Tensor, " members"]
    penalties: Float[Tensor, " members"]
    terms: Mapping[str, Float[Tensor, " members"]]
    judged: Bool[Tensor, " members"]
    cells: Float[Tensor, "members latent_frames arms"] | None = None


@dataclass(frozen=True, kw_only=True)
class ScoredGroup:
    """What a scorer returns for one rollout group.

    Example:
        ScoredGroup(condition_id="click_bell/episode0/seen", adapter=AdapterVersion(...),
                    breakdown=RewardBreakdown(...), path_lengths=tensor([3.1, 2.9]),
                    generation_s=0.31, scoring_s=0.12, reasons=("", "positions are not finite"),
                    observations={"frame_change": tensor([0.021, 0.0])})

    Attributes:
        adapter: version that the generator read from its live weights.
        path_lengths: distance all arm joints travelled together, rad.
        generation_s: seconds the generator spent on the group.
        scoring_s: seconds the scorer spent on the group.
        reasons: why the scorer abstained, per member; "" where it did not.
        observations: what the sentinels watch, per member; NaN where it was not looked at.
        generation_cpu_s: CPU-seconds of the generator, which other load does not stretch.
        scoring_cpu_s: CPU-seconds of the scorer.
        batch: training step that the group was ordered for; it seeds noise and window.
        latent_hashes: names what was judged: 16 hex digits of the SHA-256 of each member's final latents.
    """

    condition_id: str
    adapter: AdapterVersion
    breakdown: RewardBreakdown
    path_lengths: Float[Tensor, " members"]
    generation_s: float
    scoring_s: float
    reasons: tuple[str, ...] = ()
    observations: Mapping[str, Float[Tensor, " members"]] = field(default_factory=dict)
    generation_cpu_s: float = 0.0
    scoring_cpu_s: float = 0.0
    latent_hashes: tuple[str, ...] = ()
    batch: int = 0
