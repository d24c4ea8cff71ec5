"""What is found out with the model as it was given, before training: P0 and where the arms are seen."""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import torch
from jaxtyping import Int

from eva_rl.actors.credit_map import halves
from eva_rl.actors.order import Order
from eva_rl.actors.roles import SCORER, Roles
from eva_rl.config.align import AlignSettings
from eva_rl.driver.batch import Batch, order_chunks, send_adapter, wait_for_rewards
from eva_rl.driver.condition_schedule import ConditionSchedule
from eva_rl.embodiments import EMBODIMENTS
from eva_rl.records.adapter import AdapterWeights
from eva_rl.records.calibration import Calibration
from eva_rl.records.condition import EncodedCondition
from eva_rl.records.reward import ScoredGroup
from eva_rl.rewards.reward import calibrate_p0

CALIBRATION_STEP = -1
"""Training step that seeds the calibration rollouts: none of the run's own."""


class CalibrationRollouts(Protocol):
    """Rollouts of the untouched policy, made when one of the methods is first called."""

    def scored(self) -> Sequence[ScoredGroup]:
        """Their rewards with a P0 of 1."""
        ...

    def arm_sites(self) -> Int[np.ndarray, "height width"]:
        """Which arms each latent site speaks for."""
        ...


class RemoteRollouts:
    """One batch of rollouts of the untouched policy, from the running actors.

    Args:
        settings: of the run.
        roles: the running actors.
        schedule: its first batch is used.
        initial: the untouched adapter.
    """

    def __init__(
        self, settings: AlignSettings, roles: Roles, schedule: ConditionSchedule, initial: AdapterWeights
    ) -> None:
        self._roles = roles
        self._deadline_s = settings.faults.scoring_deadline_s
        chunks = order_chunks(
            roles.dispatcher,
            schedule.batch(0),
            index=CALIBRATION_STEP,
            policy=send_adapter(initial),
            settings=settings,
        )
        self._batch = Batch(CALIBRATION_STEP, chunks)

    def scored(self) -> Sequence[ScoredGroup]:
        """Their rewards with a P0 of 1."""
        return wait_for_rewards(self._batch, self._roles.dispatcher).scores().groups

    def arm_sites(self) -> Int[np.ndarray, "height width"]:
        """Which arms each latent site speaks for."""
        wait_for_rewards(self._batch, self._roles.dispatcher)
        found: list[Int[np.ndarray, "height width"]] = []
        order = Order(
            role=SCORER,
            method="arm_sites",
            arguments=self._batch.chunks[0].groups,
            label="the arms' regions",
            deadline_s=self._deadline_s,
        )
        self._roles.dispatcher.submit(order, lambda sites, _: found.append(sites))
        self._roles.dispatcher.wait_until(lambda: bool(found), what=order.label)
        return found[0]


def calibrate(
    settings: AlignSettings, rollouts: CalibrationRollouts, condition: EncodedCondition
) -> Calibration:
    """Decides what the settings leave open.

    With reward.penalty_scale "calibrated", P0 is the median penalty (EVA takes P0 from rollouts of the
    pretrained model): a typical rollout then starts at the same point of the reward's curve on every robot.

    Args:
        settings: of the run.
        rollouts: one batch of the untouched policy.
        condition: any of the run; it fixes the size of the latents.

    Raises:
        ValueError: when no calibration rollout could be judged.
    """
    scale, algorithm = settings.reward.penalty_scale, settings.algorithm
    if scale == "calibrated":
        scale = calibrate_p0(torch.cat([group.breakdown.penalties for group in rollouts.scored()]))
    _, num_given, height, width = condition.first_latents.shape
    arm_sites = None
    if algorithm.credit == "frames_and_arms" and algorithm.arm_regions == "idm_gradient":
        arm_sites = rollouts.arm_sites()
    elif algorithm.credit == "frames_and_arms":
        num_arms = len(EMBODIMENTS[settings.robot.embodiment].arms)
        arm_sites = halves(height, width, num_arms=num_arms)
    return Calibration(penalty_scale=scale, arm_sites=arm_sites, num_given_frames=num_given)


def calibration_as_data(calibration: Calibration) -> dict[str, Any]:
    """The calibration as JSON."""
    sites = calibration.arm_sites
    return {
        "penalty_scale": calibration.penalty_scale,
        "arm_sites": None if sites is None else sites.tolist(),
        "num_given_frames": calibration.num_given_frames,
    }


def calibration_from_data(data: dict[str, Any]) -> Calibration:
    """Turns JSON back into a calibration."""
    sites = data["arm_sites"]
    return Calibration(
        penalty_scale=data["penalty_scale"],
        arm_sites=None if sites is None else np.array(sites),
        num_given_frames=data.get("num_given_frames", 1),
    )
