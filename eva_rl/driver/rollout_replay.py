"""One rollout of a run again, from its record: the same latents, actions and reward, or what differs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from numpy.typing import NDArray
from safetensors.numpy import load

from eva_rl.actors.generator import Generator
from eva_rl.actors.scorer import Scorer
from eva_rl.checkpoints.store import CheckpointStore
from eva_rl.config.align import AlignSettings
from eva_rl.config.section import ConfigError
from eva_rl.driver.calibration import calibration_from_data
from eva_rl.driver.ledger import ledger_lines
from eva_rl.driver.run_directory import RunDirectory
from eva_rl.driver.run_state import POLICIES_FILE
from eva_rl.evaluation.pixels import to_pixels
from eva_rl.idm.kinds import open_idm, read_generated
from eva_rl.records.adapter import AdapterVersion, AdapterWeights
from eva_rl.records.calibration import Calibration
from eva_rl.records.condition import EncodedCondition
from eva_rl.records.rollout import RolloutGroup
from eva_rl.records.rollout_id import RolloutId
from eva_rl.world_model.latent_codec import LatentCodec


@dataclass(frozen=True, kw_only=True)
class RolloutRecord:
    """What the run knows about a rollout, and what is needed to make it again.

    Attributes:
        rollout: its name.
        weights: the adapter that sampled it.
        calibration: of the run.
        latents: hash of its final latents.
        reward: None where the scorer abstained.
        path_rad: distance that its arm joints travel.
    """

    rollout: RolloutId
    weights: AdapterWeights
    calibration: Calibration
    latents: str
    reward: float | None
    path_rad: float


@dataclass(frozen=True, kw_only=True)
class ReplayedRollout:
    """A rollout that was made again.

    Attributes:
        frames: RGB, 0..255.
        positions: executable joint positions, rad (grippers 0..1).
        latents: final ones.
        reward: NaN where the scorer abstains.
        terms: weighted cost per term.
        differences: what is not as the run recorded it, one sentence each; empty where all is.
    """

    frames: UInt8[np.ndarray, "frames height width 3"]
    positions: Float[np.ndarray, "frames dimensions"]
    latents: Float[np.ndarray, "channels latent_frames rows columns"]
    reward: float
    terms: dict[str, float]
    differences: tuple[str, ...]

    def arrays(self) -> dict[str, NDArray[Any]]:
        """For an npz file."""
        terms = {f"term_{name}": np.array(value) for name, value in self.terms.items()}
        named = {"frames": self.frames, "positions": self.positions, "latents": self.latents}
        return {**named, "reward": np.array(self.reward), **terms}


def find_record(run: RunDirectory, store: CheckpointStore, rollout: RolloutId) -> RolloutRecord:
    """Looks a rollout up in the run's ledger, and its adapter in the kept checkpoints.

    Raises:
        ConfigError: the run has no such rollout, or no checkpoint keeps the adapter that sampled it.
    """
    lines = ledger_lines(run.ledger.read_bytes()) if run.ledger.is_file() else []
    if rollout.training_step >= len(lines):
        raise ConfigError(
            [f"{run.ledger} has {len(lines)} training steps, counted from 0; got {rollout.training_step}"]
        )
    line = lines[rollout.training_step]
    group = next((group for group in line["groups"] if group["condition_id"] == rollout.condition_id), None)
    if group is None or rollout.member >= len(group["latents"]):
        known = ", ".join(
            f"{group['condition_id']}/0..{len(group['latents']) - 1}" for group in line["groups"]
        )
        raise ConfigError([f"training step {rollout.training_step} of {run.path} has the rollouts {known}"])
    weights, calibration = _adapter_of(store, AdapterVersion(**line["policy"]), lines)
    return RolloutRecord(
        rollout=rollout,
        weights=weights,
        calibration=calibration,
        latents=group["latents"][rollout.member],
        reward=group["rewards"][rollout.member],
        path_rad=group["paths_rad"][rollout.member],
    )


def replay_rollout(
    settings: AlignSettings,
    record: RolloutRecord,
    batch: Sequence[EncodedCondition],
    *,
    world_model: str,
    idm: str,
) -> ReplayedRollout:
    """Makes a rollout again with the run's own generator and scorer.

    Args:
        settings: of the run.
        record: from `find_record`.
        batch: conditions of its training step; those that were denoised together are denoised together again.
        world_model: pipeline directory.
        idm: inverse dynamics model directory.
    """
    group = _generate(settings, record, batch, world_model)
    scorer = Scorer(settings, world_model, idm)
    scorer.set_penalty_scale(record.calibration.penalty_scale)
    [scored] = scorer.score(group)
    member = record.rollout.member
    latents = group.final_latents[member : member + 1]
    codec = LatentCodec.from_directory(world_model, device="cpu", settings=settings.world_model)
    with torch.no_grad():
        frames = codec.decode(latents)
        positions = read_generated(open_idm(idm), latents, decode=lambda _: frames)[0]
    reward, path = float(scored.breakdown.rewards[member]), float(scored.path_lengths[member])
    return ReplayedRollout(
        frames=to_pixels(frames)[0].numpy(),
        positions=positions.numpy(),
        latents=latents[0].numpy(),
        reward=reward,
        terms={name: float(values[member]) for name, values in scored.breakdown.terms.items()},
        differences=_differences(record, scored.latent_hashes[member], reward=reward, path_rad=path),
    )


def _generate(
    settings: AlignSettings, record: RolloutRecord, batch: Sequence[EncodedCondition], world_model: str
) -> RolloutGroup:
    names = [item.condition.condition_id for item in batch]
    if record.rollout.condition_id not in names:
        raise ConfigError(
            [
                f"the data no longer give {record.rollout.condition_id} to training step "
                f"{record.rollout.training_step}"
            ]
        )
    place, size = names.index(record.rollout.condition_id), settings.generators.groups_per_call
    generator = Generator(settings, world_model)
    generator.write_adapter(record.weights)
    first = place // size * size
    return generator.generate(batch[first : first + size], record.rollout.training_step)[place - first]


def _adapter_of(
    store: CheckpointStore, version: AdapterVersion, lines: Sequence[dict[str, Any]]
) -> tuple[AdapterWeights, Calibration]:
    kept: list[int] = []
    for step in store.training_steps():
        folder, state = store.read(step)
        kept += [int(name) for name in state["policies"]]
        if state["policies"].get(str(version.training_step)) == version.content_hash:
            values = load(folder.read(POLICIES_FILE))[str(version.training_step)]
            weights = AdapterWeights(version=version, values=values)
            return weights, calibration_from_data(state["calibration"])
    possible = [line["training_step"] for line in lines if line["policy"]["training_step"] in kept]
    raise ConfigError(
        [
            f"no checkpoint in {store.folder} keeps the adapter of training step {version.training_step}; "
            f"rollouts of training steps {possible} can be replayed. More are kept with "
            "schedule.keep_checkpoints"
        ]
    )


def _differences(record: RolloutRecord, latents: str, *, reward: float, path_rad: float) -> tuple[str, ...]:
    recorded = float("nan") if record.reward is None else record.reward
    pairs = {
        "latents": (record.latents, latents),
        "path of the arm joints (rad)": (record.path_rad, path_rad),
        "reward": (recorded, reward),
    }
    return tuple(
        f"{name}: recorded {then}, now {now}"
        for name, (then, now) in pairs.items()
        if then != now and not (then != then and now != now)  # two abstentions are equal
    )
