"""One training step on the learner's ranks, with a deadline: ranks out of step wait for each other."""

from collections.abc import Sequence
from typing import Any

import ray
from jaxtyping import Float
from ray import ObjectRef
from ray.exceptions import GetTimeoutError, RayError
from torch import Tensor

from eva_rl.actors.deepspeed_engine import Rendezvous
from eva_rl.actors.learner import UnknownPolicyError
from eva_rl.driver.doctor.evidence import StepEvidence
from eva_rl.records.adapter import LearnerUpdate
from eva_rl.records.calibration import Calibration
from eva_rl.records.rollout import RolloutGroup


def join_ranks(ranks: Sequence[Any], calibration: Calibration) -> None:
    """Brings ranks into one process group and tells them what was found out with the base policy."""
    address, port = ray.get(ranks[0].free_address.remote())
    meetings = [
        Rendezvous(address=address, port=port, rank=index, num_ranks=len(ranks))
        for index in range(len(ranks))
    ]
    ray.get([rank.join.remote(meeting) for rank, meeting in zip(ranks, meetings, strict=True)])
    ray.get([rank.prepare.remote(calibration) for rank in ranks])


def step_on_ranks(
    ranks: Sequence[Any],
    groups: Sequence[RolloutGroup],
    weights: Float[Tensor, "groups members *cells"],
    *,
    deadline_s: float,
) -> tuple[LearnerUpdate | None, StepEvidence]:
    """Takes one training step; each rank learns from its own share of the groups.

    Args:
        ranks: learner actors that have joined each other.
        groups: rollouts of the batch.
        weights: what each rollout is weighed with.
        deadline_s: for the step.

    Returns:
        The update, None if there is none, and what each rank holds afterwards.
    """
    try:
        update = ray.get(_order_step(ranks, groups, weights), timeout=deadline_s)[0]
        versions = ray.get([rank.version.remote() for rank in ranks], timeout=deadline_s)
    except GetTimeoutError:
        problem = f"no end after {deadline_s:g} s: ranks wait for each other"
        return None, StepEvidence(versions=(), conditions=(), problem=problem)
    except RayError as error:  # what a rank raised, or its death
        problem = str(error).strip().splitlines()[-1]
        return None, StepEvidence(versions=(), conditions=(), problem=problem)
    share = len(groups) // len(ranks)
    ids = [group.condition_id for group in groups]
    shares = [ids[first : first + share] for first in range(0, len(ids), share)]
    return update, StepEvidence(versions=versions, conditions=shares)


def is_learned(
    ranks: Sequence[Any],
    groups: Sequence[RolloutGroup],
    weights: Float[Tensor, "groups members *cells"],
) -> bool:
    """Whether any rank takes the rollouts, or all refuse them as made by a policy that is not accepted."""
    num_refused = 0
    for call in _order_step(ranks, groups, weights):
        try:
            ray.get(call)
        except UnknownPolicyError:
            num_refused += 1
    return num_refused < len(ranks)


def _order_step(
    ranks: Sequence[Any],
    groups: Sequence[RolloutGroup],
    weights: Float[Tensor, "groups members *cells"],
) -> list[ObjectRef]:
    share = len(groups) // len(ranks)
    return [
        rank.learn.remote(weights[first : first + share], *groups[first : first + share])
        for rank, first in zip(ranks, range(0, len(groups), share), strict=True)
    ]
