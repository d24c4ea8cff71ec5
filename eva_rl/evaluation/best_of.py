"""Best of N: what ranking several clips of the base policy by reward buys, without any learning."""

import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from eva_rl.evaluation.closed_loop import execute_open_loop
from eva_rl.evaluation.held_out import PreparedScene
from eva_rl.evaluation.judging import known_evidence, outcomes_of
from eva_rl.evaluation.quantities import QUANTITIES
from eva_rl.records.evaluation import Estimate, Outcome
from eva_rl.rewards.reward import KinematicReward

SIMULATOR_TERMS = ("task_progress", "collision_margin")
GAINS = ("monitored_success", "success", "reward")


@dataclass(frozen=True, kw_only=True)
class Draw:
    """One clip of every scene of a call.

    Attributes:
        positions: read from the clips, rad (grippers 0..1).
        generation_cpu_s: CPU-seconds of imagining, per clip.
        reading_cpu_s: CPU-seconds of the inverse dynamics model, decoding included if it reads frames.
    """

    positions: Float[Tensor, "scenes frames D"]
    generation_cpu_s: float
    reading_cpu_s: float


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """The best of some clips of one scene, executed.

    Example:
        Chosen(num_clips=4, draw=2, generation_cpu_s=1.2, ranking_cpu_s=0.3,
               outcome=Outcome(rung="best_of_4", ...))

    Attributes:
        num_clips: clips to choose from: the cost, in clips generated per condition.
        draw: which of them was chosen.
        generation_cpu_s: CPU-seconds of imagining all of them.
        ranking_cpu_s: CPU-seconds of reading and ranking all of them; the single clip is only read.
        outcome: of executing it.
    """

    num_clips: int
    draw: int
    generation_cpu_s: float
    ranking_cpu_s: float
    outcome: Outcome


@dataclass(frozen=True, kw_only=True)
class BestOfRow:
    """What choosing among N clips costs and gives.

    Attributes:
        num_clips: N, the clips generated per condition.
        generation_cpu_s: CPU-seconds of imagining them, mean over conditions.
        relative_cost: CPU-seconds of imagining, reading and ranking, in those of one clip.
        gains: estimate per name in GAINS; those that could not be measured are missing.
    """

    num_clips: int
    generation_cpu_s: float
    relative_cost: float
    gains: dict[str, Estimate]


def sizes_up_to(most: int) -> list[int]:
    """Returns 1, 2, 4 ... and the largest number itself."""
    sizes = [2**power for power in range(most.bit_length()) if 2**power <= most]
    return sizes if sizes[-1] == most else [*sizes, most]


def best_of_subsets(
    scenes: Sequence[PreparedScene], draws: Sequence[Draw], *, reward: KinematicReward
) -> list[Chosen]:
    """Executes, per scene, the clip of highest reward in every disjoint set of 1, 2, 4 ... draws.

    The mean over the sets is unbiased for each N and uses every draw: 8 draws are 8 sets of one, 4 of two,
    2 of four and 1 of eight. A clip that is the best of several sets is executed once. A clip without a
    reward is chosen only if no other has one. Terms that execute the motion do not rank: choosing by the
    simulator would be cheating.

    Args:
        scenes: whose clips these are.
        draws: of the base policy.
        reward: the training reward.
    """
    ranking = reward.without(*SIMULATOR_TERMS)
    chosen = []
    for index, scene in enumerate(scenes):
        evidence = known_evidence([scene])  # the expert that it may ask is no cost of ranking
        candidates = torch.stack([draw.positions[index] for draw in draws])
        started = time.process_time()
        rewards = ranking(candidates, evidence=evidence).rewards.nan_to_num(nan=-torch.inf)
        per_clip = (time.process_time() - started) / len(draws)
        executed: dict[int, Outcome] = {}
        for size in sizes_up_to(len(draws)):
            for first in range(0, len(draws) - size + 1, size):
                members = range(first, first + size)
                best = max(members, key=lambda draw: float(rewards[draw]))
                if best not in executed:
                    motions = execute_open_loop([scene], candidates[best][None])
                    (executed[best],) = outcomes_of([scene], motions, rung="best_of_1", reward=reward)
                used = [draws[member] for member in members]
                row = Chosen(
                    num_clips=size,
                    draw=best,
                    generation_cpu_s=sum(draw.generation_cpu_s for draw in used),
                    ranking_cpu_s=sum(draw.reading_cpu_s for draw in used) + per_clip * size * (size > 1),
                    outcome=replace(executed[best], rung=f"best_of_{size}"),
                )
                chosen.append(row)
    return chosen


def best_of_rows(chosen: Sequence[Chosen]) -> list[BestOfRow]:
    """Compares the numbers of clips; sets of one scene count as one scene."""
    of_size: dict[int, list[Chosen]] = {}
    for choice in chosen:
        of_size.setdefault(choice.num_clips, []).append(choice)
    cost = {size: _mean_cpu_s(found) for size, found in of_size.items()}
    return [
        BestOfRow(
            num_clips=size,
            generation_cpu_s=sum(choice.generation_cpu_s for choice in found) / len(found),
            relative_cost=cost[size] / cost[1],
            gains=_gains([choice.outcome for choice in found]),
        )
        for size, found in sorted(of_size.items())
    ]


def best_of_as_data(rows: Sequence[BestOfRow]) -> list[dict[str, Any]]:
    """Turns rows into plain values for JSON."""
    return [asdict(row) for row in rows]


def _mean_cpu_s(chosen: Sequence[Chosen]) -> float:
    return sum(choice.generation_cpu_s + choice.ranking_cpu_s for choice in chosen) / len(chosen)


def _gains(outcomes: Sequence[Outcome]) -> dict[str, Estimate]:
    return {
        name: QUANTITIES[name].estimate(outcomes)
        for name in GAINS
        if not all(math.isnan(QUANTITIES[name].value(outcome)) for outcome in outcomes)
    }
