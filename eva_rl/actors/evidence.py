"""What is known about rollouts besides their motion, for the reward terms beyond the paper."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from eva_rl.actors.rollout_clips import RolloutClips
from eva_rl.actors.scene_view import SceneView
from eva_rl.embodiments import EMBODIMENTS
from eva_rl.records.condition import Condition
from eva_rl.rewards.evidence import Evidence

SCENE_FIELDS = ("arm_clearance_m", "cycle_error", "progress")
"""Fields of Evidence that only a simulator can fill."""


class EvidenceUnavailableError(RuntimeError):
    """A reward term needs a simulator, and a condition has none: a mistake in the settings."""


def known_evidence(condition: Condition) -> Evidence:
    """What the condition itself says about an honest motion."""
    known = Evidence(start_joints=torch.tensor(condition.start_joints)[None])  # a copy: Ray's are read-only
    if condition.demonstrated_actions is None:
        return known
    shown = torch.tensor(condition.demonstrated_actions)[None]
    arms = shown[..., list(EMBODIMENTS[condition.embodiment].arm_indices)]
    return replace(known, demonstration=shown, path_length=arms.diff(dim=1).abs().sum(dim=(1, 2)))


def scene_evidence(
    known: Evidence,
    view: SceneView | None,
    *,
    needs: Collection[str],
    clips: RolloutClips,
    positions: Float[Tensor, "members frames dimensions"],
    condition_id: str,
) -> Evidence:
    """Adds what weighted reward terms need of a simulator; costs nothing if they need nothing.

    Args:
        known: of the condition.
        view: the condition's scene, or None where there is no simulator for it.
        needs: fields of Evidence that weighted terms judge by.
        clips: generated; decoded if a term compares pictures.
        positions: read from them, rad (grippers 0..1). Members that are not finite get NaN.
        condition_id: named when there is no scene.

    Raises:
        EvidenceUnavailableError: a term needs a scene, but there is none.
    """
    wanted = [name for name in SCENE_FIELDS if name in needs]
    if not wanted:
        return known
    if view is None:
        raise EvidenceUnavailableError(
            f"a weighted reward term needs evidence.{', evidence.'.join(wanted)}, which only a simulator "
            f"gives, but condition {condition_id} has no scene in one: set the weight of such terms to 0 in "
            "reward.term_weights, or use episodes recorded in robot.simulator"
        )
    measures = {
        "arm_clearance_m": lambda member: view.clearances(positions[member]),
        "cycle_error": lambda member: view.look(clips.frames[member], positions[member]).cycle_error,
        "progress": lambda member: view.progress(positions[member]),
    }
    is_finite = positions.isfinite().all(dim=(1, 2)).tolist()
    found = {name: _per_member(measures[name], is_finite) for name in wanted}
    return replace(known, **found)


def _per_member(measure: Callable[[int], Tensor], is_finite: Sequence[bool]) -> Tensor:
    """Measures every member that can be measured; the others get NaN."""
    results = {member: measure(member) for member, finite in enumerate(is_finite) if finite}
    if not results:
        return torch.full((len(is_finite),), torch.nan)
    blank = torch.full_like(next(iter(results.values())), torch.nan)
    return torch.stack([results.get(member, blank) for member in range(len(is_finite))])
