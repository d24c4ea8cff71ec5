"""What was trained on: conditions, the policy that sampled, rewards; each line seals the one before."""

import hashlib
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from eva_rl.records.adapter import AdapterVersion
from eva_rl.records.reward import ScoredGroup

CHAIN = "chain"


class LedgerError(ValueError):
    """A ledger whose lines do not follow from each other; the message names the first."""


class Ledger:
    """One JSON object per training step.

    `{"training_step": 3, "policy": {…}, "made": {…}, "groups": [{"condition_id": …, "latents": […],
    "rewards": […]}], "chain": …}`: batch 3 was sampled by `policy`, and learning from it made `made`. Every
    `chain` is a hash of its line and of the chain before, so that no line can be altered or left out.

    Args:
        file: receives every line at once; None keeps the ledger in memory.
    """

    def __init__(self, file: Path | None = None) -> None:
        self._file = file
        self._lines: list[dict[str, Any]] = []
        self._replace()

    @property
    def chain(self) -> str:
        """Hash of everything so far."""
        return self._lines[-1][CHAIN] if self._lines else ""

    def __len__(self) -> int:
        """Number of training steps."""
        return len(self._lines)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """The lines, oldest first."""
        return iter(self._lines)

    def append(self, training_step: int, groups: Sequence[ScoredGroup], *, made: AdapterVersion) -> None:
        """Adds one training step.

        Args:
            training_step: index of the batch.
            groups: that were learned from.
            made: what learning from them made.

        Raises:
            LedgerError: the line could not be written, as on a full disk.
        """
        entry = {
            "training_step": training_step,
            "policy": asdict(groups[0].adapter),
            "made": asdict(made),
            "groups": [_group(group) | _origin(group, training_step, groups[0]) for group in groups],
        }
        self._lines.append(entry | {CHAIN: _link(self.chain, entry)})
        if self._file is None:
            return
        try:
            with self._file.open("a") as stream:
                stream.write(json.dumps(self._lines[-1]) + "\n")
        except OSError as error:
            raise LedgerError(
                f"{self._file} cannot be written ({error.strerror}); make room, then continue with "
                "--run.resume auto: the newest checkpoint is whole"
            ) from None

    def learned_groups(self) -> set[tuple[int, str]]:
        """Every group that was learned from: the batch that it was ordered for, and its condition."""
        return {
            (group.get("batch", line["training_step"]), group["condition_id"])
            for line in self._lines
            for group in line["groups"]
        }

    def as_bytes(self) -> bytes:
        """All lines, for a checkpoint."""
        return "".join(json.dumps(line) + "\n" for line in self._lines).encode()

    def restore(self, content: bytes) -> None:
        """Goes back to what `as_bytes` gave.

        Raises:
            LedgerError: naming the first line that does not follow.
        """
        self._lines = check_chain(ledger_lines(content))
        self._replace()

    def _replace(self) -> None:
        if self._file is not None:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            unfinished = self._file.with_name(f".{self._file.name}.unfinished")
            unfinished.write_bytes(self.as_bytes())
            unfinished.replace(self._file)


def ledger_lines(content: bytes) -> list[dict[str, Any]]:
    """The lines of a ledger, unchecked; a last one that a killed process left half-written is passed over."""
    lines = content.decode().splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.endswith("\n")]


def check_chain(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Returns the lines if each follows from the one before: in number, in chain and in adapters.

    Raises:
        LedgerError: naming the first that does not.
    """
    chain, made = "", dict[int, str]()
    for number, line in enumerate(lines):
        entry = {name: value for name, value in line.items() if name != CHAIN}
        if line.get("training_step") != number:
            raise LedgerError(f"line {number + 1} is training step {line.get('training_step')}, not {number}")
        if line.get(CHAIN) != _link(chain, entry):
            raise LedgerError(f"line {number + 1} (training step {number}) differs from what was written")
        policy = line["policy"]
        known = made.setdefault(policy["training_step"], policy["content_hash"])
        if known != policy["content_hash"]:
            raise LedgerError(
                f"line {number + 1}: batch {number} was sampled by adapter {policy['content_hash']} of "
                f"training step {policy['training_step']}, but the learner made {known}"
            )
        made[line["made"]["training_step"]] = line["made"]["content_hash"]
        chain = line[CHAIN]
    return lines


def _group(group: ScoredGroup) -> dict[str, Any]:
    rewards = [float(reward) for reward in group.breakdown.rewards]
    return {
        "condition_id": group.condition_id,
        "latents": list(group.latent_hashes),
        "paths_rad": [float(length) for length in group.path_lengths],
        "rewards": [reward if math.isfinite(reward) else None for reward in rewards],
    }


def _origin(group: ScoredGroup, training_step: int, first: ScoredGroup) -> dict[str, Any]:
    """Where the group differs from its line; it can only where the schedule is unordered."""
    origin: dict[str, Any] = {}
    if group.batch != training_step:
        origin["batch"] = group.batch
    if group.adapter != first.adapter:
        origin["policy"] = asdict(group.adapter)
    return origin


def _link(chain: str, entry: dict[str, Any]) -> str:
    return hashlib.sha256(f"{chain}{json.dumps(entry, sort_keys=True)}".encode()).hexdigest()
