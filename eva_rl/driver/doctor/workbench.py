"""The parts of a run in one process, each looked at by itself."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from eva_rl.actors.generator import Generator
from eva_rl.actors.policy import open_policy
from eva_rl.actors.policy_gradient_rule import PolicyGradientRule
from eva_rl.actors.reward_setup import reward_of
from eva_rl.config.align import AlignSettings
from eva_rl.data.windows import EpisodeWindow
from eva_rl.driver.doctor.evidence import (
    PushEvidence,
    RatioEvidence,
    ReadingEvidence,
    RewardEvidence,
    UpdateEvidence,
)
from eva_rl.driver.doctor.plain_step import plain_step
from eva_rl.idm.kinds import open_idm, read_recorded
from eva_rl.records.adapter import AdapterVersion, AdapterWeights
from eva_rl.records.calibration import Calibration
from eva_rl.records.condition import EncodedCondition
from eva_rl.records.rollout import RolloutGroup
from eva_rl.rl.group_loss import measure_ratios
from eva_rl.world_model.adapter_io import borrowed_adapter, read_adapter, write_adapter
from eva_rl.world_model.lora import adapter_parameters

CARD_FILE = "card.json"
CARD_METRIC = "validation/joint_rmse_rad"
PROBE_STEP = 1
PROBE_SIZE = 1e-2
"""Standard deviation of what the probe adapter adds: as much as some training steps."""
LEAST_NOISE = 0.3
"""Of the noisy step, where the run samples without noise."""


class Workbench:
    """A generator and a policy of the run's own settings and models, with nothing in between.

    Args:
        settings: of the run.
        world_model: pipeline directory.
        idm: inverse dynamics model directory.
    """

    def __init__(self, settings: AlignSettings, *, world_model: str, idm: str) -> None:
        self._settings = settings
        self._idm_directory = idm
        self.generator = Generator(settings, world_model)
        self._replayed = _with_ratio(settings)
        has_ratio = settings.algorithm.learns_from_steps
        self._sampler = self.generator if has_ratio else Generator(self._replayed, world_model)
        self._policy = open_policy(settings, world_model)
        self._initial = read_adapter(self._policy.transformer, 0)
        self._idm = open_idm(idm).to(self._policy.device)

    @torch.no_grad()
    def recorded(self, clips: Sequence[EpisodeWindow]) -> list[RewardEvidence | ReadingEvidence]:
        """Lays recorded motions before the reward, and recorded videos before the inverse dynamics model."""
        actions = torch.from_numpy(np.stack([clip.actions for clip in clips]))
        pixels = torch.from_numpy(np.stack([clip.frames for clip in clips]))
        decoded = read_recorded(
            self._idm,
            (pixels.permute(0, 1, 4, 2, 3).float() / 127.5 - 1).to(self._policy.device),
            encode=lambda _: self._policy.encode_frames(pixels),
        )
        reading = ReadingEvidence(
            decoded=decoded.float().cpu(),
            recorded=actions,
            gripper_dimensions=self._idm.architecture.gripper_dimensions,
            card_rmse_rad=card_error(Path(self._idm_directory)),
        )
        reward = reward_of(self._settings, penalty_scale=1.0)  # P0 scales a change, it never turns it round
        return [RewardEvidence(reward=reward, positions=actions), reading]

    def update(
        self,
        groups: Sequence[RolloutGroup],
        weights: Float[Tensor, "groups members *cells"],
        *,
        calibration: Calibration,
        after: NDArray[np.float32],
    ) -> UpdateEvidence:
        """Repeats the learner's first step in plain torch.

        Args:
            groups: rollouts of the learner's first batch.
            weights: as the learner received them.
            calibration: as the learner received it.
            after: the adapter that the learner made of them.
        """
        write_adapter(self._policy.transformer, self._initial)
        plain = plain_step(
            self._settings,
            self._policy,
            groups,
            weights,
            calibration=calibration,
            idm_directory=self._idm_directory,
        )
        precision = adapter_parameters(self._policy.transformer)[0][1].dtype
        return UpdateEvidence(before=self._initial.values, after=after, plain=plain, precision=precision)

    def pushes(self, condition: EncodedCondition) -> PushEvidence:
        """Sends one adapter withheld, corrupted and whole; the generator holds it afterwards."""
        sent = self._probe_adapter()

        def sampled() -> AdapterVersion:
            return self.generator.generate_group(condition, sent.version.training_step).adapter

        withheld = sampled()
        corrupted: AdapterVersion | None = None
        try:
            self.generator.write_adapter(replace(sent, values=with_flipped_sign(sent.values)))
            corrupted = sampled()
        except RuntimeError:
            pass  # refused, as it should be
        self.generator.write_adapter(sent)
        return PushEvidence(
            pushed=sent.version,
            arrived=sampled(),
            corrupted=corrupted,
            withheld=withheld,
            withheld_pushed=sent.version,
        )

    @torch.no_grad()
    def ratio(self, condition: EncodedCondition) -> RatioEvidence:
        """Samples as generators do, and replays as the learner does, with an adapter that changes something.

        A loss without a ratio is looked at with noise in one step, so that sampler and replay are compared.
        """
        sent = self._probe_adapter()
        self._sampler.write_adapter(sent)
        write_adapter(self._policy.transformer, sent)
        group = self._sampler.generate_group(condition, sent.version.training_step)
        rule = PolicyGradientRule(self._replayed, self._policy)
        advantages = torch.zeros(1, self._replayed.algorithm.group_size)
        replays = [
            rule.losses([group], advantages, pass_index=index, network=self._policy.transformer)[0]
            for index in range(rule.num_passes)
        ]
        largest = float(measure_ratios(replays)["max_ratio_deviation"])
        return RatioEvidence(max_deviation=largest, settings=self._settings)

    def _probe_adapter(self) -> AdapterWeights:
        """An adapter that is nobody's yet and changes what the network does."""
        initial = torch.from_numpy(self._initial.values)
        noise = torch.randn(initial.shape, generator=torch.Generator().manual_seed(PROBE_STEP))
        transformer = self._policy.transformer
        with borrowed_adapter(transformer, (initial + PROBE_SIZE * noise).to(self._policy.device)):
            return read_adapter(transformer, PROBE_STEP)


def card_error(idm_directory: Path) -> float | None:
    """The error on held-out recorded video that the model's card states, rad; None without one."""
    card = idm_directory / CARD_FILE
    if not card.is_file():
        return None
    return json.loads(card.read_text()).get("metrics", {}).get(CARD_METRIC)


def with_flipped_sign(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """A copy with one bit flipped, the sign of the largest value: rounding to bfloat16 does not undo it."""
    flipped = values.copy()
    flipped[np.abs(flipped).argmax()] *= -1
    return flipped


def _with_ratio(settings: AlignSettings) -> AlignSettings:
    """The settings with one ratio per rollout, and with noise where rollouts carry no log-probs."""
    algorithm = settings.algorithm.model_copy(update={"kl_beta": 0.0, "credit": "rollout"})
    if settings.algorithm.learns_from_steps:
        return settings.model_copy(update={"algorithm": algorithm})
    noise = {"noise_level": settings.sampling.noise_level or LEAST_NOISE, "noise_level_end": None}
    return settings.model_copy(
        update={
            "algorithm": algorithm.model_copy(update={"loss": "clipped_ratio"}),
            "sampling": settings.sampling.model_copy(update=noise),
        }
    )
