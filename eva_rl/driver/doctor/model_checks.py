"""Do the models do what the run takes for granted? Figures and ranges, from evidence alone."""

import numpy as np
import torch

from eva_rl.driver.doctor.check import Finding
from eva_rl.driver.doctor.evidence import (
    PushEvidence,
    RatioEvidence,
    ReadingEvidence,
    StepEvidence,
    UpdateEvidence,
)
from eva_rl.idm.accuracy import JOINT_TOLERANCE_RAD, joint_rmse

CARD_FACTOR = 2.0
"""A few clips scatter around the card's error, which is the mean of many."""
RATIO_TOLERANCE = {"float32": 1e-5, "bfloat16": 1e-3}
"""Largest |ratio - 1| that arithmetic explains, by the policy's precision."""
CLIP_SHARE = 0.2
"""Of the clip range: ratios that start further off are clipped before anything was learned."""
UPDATE_TOLERANCE = 1e-3
"""Largest relative distance of two updates in float32."""


def joints_are_read(evidence: ReadingEvidence) -> Finding:
    """Compares decoded with recorded joints; without a card, with EVA's own tolerance."""
    error = joint_rmse(evidence.decoded, evidence.recorded, gripper_dimensions=evidence.gripper_dimensions)
    card = evidence.card_rmse_rad
    clips = f"{len(evidence.decoded)} recorded clips"
    if card is None:
        note = f"{clips}; no card.json states an error, so EVA's tolerance holds"
        return Finding(figure=error, allowed=(0.0, JOINT_TOLERANCE_RAD), unit="rad", note=note)
    note = f"{clips}; the card says {card:.4f}"
    return Finding(figure=error, allowed=(0.0, CARD_FACTOR * card), unit="rad", note=note)


def ratio_is_one(evidence: RatioEvidence) -> Finding:
    """The importance ratio before anything was learned from the rollouts."""
    settings = evidence.settings
    if evidence.max_deviation is None:
        return Finding(figure=None, note=f"algorithm.loss = {settings.algorithm.loss} forms no ratio")
    allowed = RATIO_TOLERANCE[settings.world_model.precision]
    if settings.algorithm.learns_from_steps and settings.algorithm.ratio_clip is not None:
        allowed = min(allowed, CLIP_SHARE * settings.algorithm.ratio_clip)
    return Finding(figure=evidence.max_deviation, allowed=(0.0, allowed), note="largest |ratio - 1|")


def ranks_agree(evidence: StepEvidence) -> Finding:
    """Counts the different adapters on the learner's ranks, which learned from different data."""
    if not evidence.versions:
        return Finding(figure=float("nan"), allowed=(1, 1), note=evidence.problem)
    if len(evidence.versions) == 1:
        return Finding(figure=None, note="one learner rank: nothing to synchronise")
    if len({frozenset(conditions) for conditions in evidence.conditions}) < len(evidence.conditions):
        return Finding(figure=float("nan"), allowed=(1, 1), note="ranks were given the same conditions")
    hashes = [version.content_hash for version in evidence.versions]
    return Finding(figure=len(set(hashes)), allowed=(1, 1), unit="adapters", note=f"on {len(hashes)} ranks")


def update_is_plain_adamw(evidence: UpdateEvidence) -> Finding:
    """Distance of the two updates, relative to the update's size."""
    if evidence.precision != torch.float32:  # DeepSpeed keeps float32 copies there, plain torch does not
        return Finding(figure=None, note=f"compared in float32 only, not in {evidence.precision}")
    step = float(np.linalg.norm(evidence.plain - evidence.before))
    if step == 0:
        return Finding(figure=None, note="the gradient is 0: there is no update to compare")
    distance = float(np.linalg.norm(evidence.after - evidence.plain)) / step
    return Finding(
        figure=distance, allowed=(0.0, UPDATE_TOLERANCE), note="relative to the size of the update"
    )


def push_arrives(evidence: PushEvidence) -> Finding:
    """Compares the hash of the generator's live weights with the hash of what was sent."""
    return Finding(
        figure=float(evidence.arrived == evidence.pushed),
        allowed=(1, 1),
        note=f"sent {evidence.pushed.content_hash}, live {evidence.arrived.content_hash}",
    )


def corrupted_push_is_noticed(evidence: PushEvidence) -> Finding:
    """One sign in the buffer was altered on the way: the generator must refuse it."""
    refused = evidence.corrupted is None
    return Finding(
        figure=float(refused),
        allowed=(1, 1),
        note="one flipped sign, refused" if refused else "one flipped sign was accepted",
    )


def withheld_push_is_noticed(evidence: PushEvidence) -> Finding:
    """A push was never delivered: the next rollout must not claim that it was, and is not learned from."""
    is_honest = evidence.withheld != evidence.withheld_pushed
    learned = evidence.withheld_is_learned
    note = f"sent {evidence.withheld_pushed.content_hash}, rollout says {evidence.withheld.content_hash}"
    if learned is not None:
        note += f", {'accepted' if learned else 'refused'} by the learner"
    return Finding(figure=float(is_honest and not learned), allowed=(1, 1), note=note)
