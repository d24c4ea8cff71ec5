"""From the rewards of a batch to what the learner weighs its rollouts with."""

import torch
from jaxtyping import Float
from torch import Tensor

from eva_rl.actors.credit_map import CreditMap
from eva_rl.config.align import AlignSettings
from eva_rl.driver.scores import BatchScores
from eva_rl.embodiments import EMBODIMENTS
from eva_rl.records.calibration import Calibration
from eva_rl.rl.advantages import Advantages, group_advantages
from eva_rl.rl.credit import cell_advantages
from eva_rl.rl.selection import select_members

KEPT_BY_RAFT = 1


class CreditAssignment:
    """Turns rewards into advantages, in the way that the settings ask for.

    Args:
        settings: of the run.
        calibration: where the arms are seen, for structured credit.
    """

    def __init__(self, settings: AlignSettings, calibration: Calibration) -> None:
        self._settings = settings
        self._map: CreditMap | None = None
        if calibration.arm_sites is not None:
            self._map = CreditMap.of(
                calibration.arm_sites,
                num_latent_frames=(settings.video.num_frames - 1) // 4 + 1,
                num_arms=len(EMBODIMENTS[settings.robot.embodiment].arms),
                num_given=calibration.num_given_frames,
            )

    def advantages(self, scores: BatchScores) -> Advantages:
        """How much better each rollout is than its siblings; 0 where it was not judged."""
        algorithm = self._settings.algorithm
        options = {
            "std": algorithm.advantage_std,
            "clip": algorithm.advantage_clip,
            "std_floor": algorithm.std_floor,
            "correction": algorithm.advantage_correction,
        }
        if self._map is None:
            return group_advantages(scores.rewards, scores.judged, **options)
        shares = torch.stack([group.cells for group in scores.breakdowns if group.cells is not None])
        return cell_advantages(
            shares, scores.rewards, scores.judged, influence=self._map.influence, **options
        )

    def weights(self, advantages: Advantages, scores: BatchScores) -> Float[Tensor, "groups members *cells"]:
        """What the learner receives: the advantages of the rollouts that are kept; with raft, 1 for each.

        A rollout without advantage still pulls nft and awm towards the policy that sampled it, so for them
        one that was not judged is marked NaN and left out.
        """
        algorithm = self._settings.algorithm
        keep = KEPT_BY_RAFT if algorithm.loss == "raft" else None
        keep = algorithm.keep_per_group or keep
        if keep is None and algorithm.learns_from_clips:
            return advantages.values.where(scores.judged, torch.nan)
        if keep is None:
            return advantages.values
        kept = select_members(scores.rewards, scores.judged, keep=keep, rule=algorithm.keep_rule)
        if algorithm.loss == "raft":
            return kept.to(scores.rewards.dtype)
        shape = (*kept.shape, *[1] * (advantages.values.ndim - 2))
        return advantages.values.where(kept.view(shape), 0)
