"""Learner ranks that run already, as the thing that a run has."""

import ray

from eva_rl.actors.learner_group import LearnerGroup


def group_of(ranks, *, deadline_s=120):
    return LearnerGroup(
        lambda rank: rank,
        ranks,
        collect=lambda references, *, what, timeout_s: ray.get(references, timeout=timeout_s),
        deadline_s=deadline_s,
    )
