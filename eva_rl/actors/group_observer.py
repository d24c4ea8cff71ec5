"""What a scorer notes about rollouts for the sentinels: nothing of it is rewarded."""

from collections.abc import Callable
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from eva_rl.actors.rollout_clips import RolloutClips
from eva_rl.actors.scene_view import SceneView
from eva_rl.config.align import AlignSettings
from eva_rl.idm.kinds import AnyIdm, check_codec, open_idm, read_generated
from eva_rl.rewards.evidence import Evidence
from eva_rl.rewards.motion import JointMotion
from eva_rl.rewards.observations import frame_change, group_spread, reader_distance
from eva_rl.rewards.reward import KinematicReward

RENDERED_EVERY_FRAMES = 4  # one frame of each latent frame shows enough


class GroupObserver:
    """Watches frames, motion and, if there is one, what the judge makes of them.

    Args:
        settings: judge, and how many rollouts of a group are rendered again.
        device: of the judge.
    """

    def __init__(self, settings: AlignSettings, *, device: str) -> None:
        self._num_rendered = settings.reward.rerendered_per_group
        self._device = device
        self._judge: AnyIdm | None = None
        if settings.reward.judge is not None:
            self._judge = _open_judge(settings.reward.judge, settings.video.frame_period_s).to(device)

    @torch.no_grad()
    def observe(
        self,
        clips: RolloutClips,
        positions: Float[Tensor, "members frames dimensions"],
        *,
        view: SceneView | None,
        reward: KinematicReward,
        evidence: Evidence,
    ) -> dict[str, Float[Tensor, " members"]]:
        """Returns one number per rollout and quantity, under the names that SENTINELS watch.

        Args:
            clips: generated. Nothing here decodes them but a judge that reads frames and rendering again;
                `frame_change` is noted only where they are decoded anyway.
            positions: read from them, rad (grippers 0..1).
            view: the condition's scene, if a simulator has it.
            reward: of the run; the judge's reading is rewarded by it too.
            evidence: that the run's own reward was given with. What a simulator found out about the main
                reading serves the judge's as well.
        """
        is_gripper = reward.limits.is_gripper
        found = {"group_spread": group_spread(positions, is_gripper)}
        if evidence.path_length is not None:
            motion = JointMotion.from_positions(positions, reward.frame_rate_hz)
            found["relative_path"] = motion.path_lengths(is_gripper) / evidence.path_length
        if self._judge is not None:
            readings = read_generated(self._judge, clips.latents, decode=lambda _: clips.frames).cpu()
            found["judge_reward"] = reward(readings, evidence=evidence).rewards
            found["judge_distance"] = reader_distance(positions, readings, is_gripper)
        if view is not None and self._num_rendered:
            found |= self._look(clips.frames, positions, view)
        if clips.is_decoded:
            found["frame_change"] = frame_change(clips.frames).cpu()
        return found

    def check_codec(self, find_codec: Callable[[], str]) -> None:
        """Makes sure that a judge which reads latents is given those of its own codec.

        Raises:
            ValueError: they come from another one.
        """
        if self._judge is not None:
            check_codec(self._judge, find_codec)

    @property
    def looks_at_frames(self) -> bool:
        """Whether frames are decoded for the alarms, whatever the reward reads."""
        return self._num_rendered > 0 or (self._judge is not None and self._judge.reads == "frames")

    def _look(
        self,
        frames: Float[Tensor, "members frames 3 height width"],
        positions: Float[Tensor, "members frames dimensions"],
        view: SceneView,
    ) -> dict[str, Float[Tensor, " members"]]:
        """Renders the first rollouts again; the others get NaN."""
        found = {name: torch.full((len(frames),), torch.nan) for name in ("cycle_error", "arm_visibility")}
        chosen = slice(RENDERED_EVERY_FRAMES, None, RENDERED_EVERY_FRAMES)
        for member in range(min(self._num_rendered, len(frames))):
            if positions[member].isfinite().all():
                look = view.look(frames[member, chosen], positions[member, chosen])
                found["cycle_error"][member] = look.cycle_error.mean()
                found["arm_visibility"][member] = look.arm_visibility.min()
        return found


def _open_judge(directory: Path, frame_period_s: float) -> AnyIdm:
    judge = open_idm(directory)
    judge.architecture.check_frame_period(frame_period_s)
    return judge
