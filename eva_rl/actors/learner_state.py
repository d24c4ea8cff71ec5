"""What a learner is restored from: safetensors and JSON, the same files whichever ranks wrote them."""

import json
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from safetensors.torch import load, save
from torch import Tensor

from eva_rl.actors.optimizer_state import OptimizerState
from eva_rl.checkpoints.folder import Folder
from eva_rl.records.adapter import AdapterVersion

OPTIMIZER_FILE = "optimizer.safetensors"
AVERAGES_FILE = "averages.safetensors"
LEARNER_FILE = "learner.json"
ADAPTER_DIRECTORY = "adapter"


@dataclass(frozen=True, kw_only=True)
class LearnerState:
    """Everything that a learner remembers between two training steps.

    Example:
        LearnerState(training_step=20, known=(AdapterVersion(...),), optimizer=OptimizerState(...),
                     averages={"num_updates": tensor([20])})

    Attributes:
        training_step: number of training steps that made it.
        known: versions of the adapter whose rollouts are accepted.
        optimizer: AdamW's state and the adapter's float32 weights.
        averages: adapters that follow the newest one.
    """

    training_step: int
    known: tuple[AdapterVersion, ...]
    optimizer: OptimizerState
    averages: Mapping[str, Tensor]

    def write(self, folder: Folder) -> dict[str, str]:
        """Writes the files; returns the SHA-256 of each.

        Raises:
            OSError: the disk is full, or the store does not answer.
        """
        optimizer = self.optimizer
        facts = {
            "training_step": self.training_step,
            "known": [asdict(version) for version in self.known],
            "num_updates": optimizer.num_updates,
            "learning_rate": optimizer.learning_rate,
            "schedule": dict(optimizer.schedule),
        }
        content = {
            OPTIMIZER_FILE: save(dict(optimizer.tensors)),
            AVERAGES_FILE: save(dict(self.averages)),
            LEARNER_FILE: json.dumps(facts, indent=1).encode(),
        }
        return {name: folder.write(name, data) for name, data in content.items()}

    @classmethod
    def read(cls, folder: Folder) -> "LearnerState":
        """Reads what `write` wrote."""
        facts = json.loads(folder.read(LEARNER_FILE))
        return cls(
            training_step=facts["training_step"],
            known=tuple(AdapterVersion(**version) for version in facts["known"]),
            optimizer=OptimizerState(
                tensors=load(folder.read(OPTIMIZER_FILE)),
                num_updates=facts["num_updates"],
                learning_rate=facts["learning_rate"],
                schedule=facts["schedule"],
            ),
            averages=load(folder.read(AVERAGES_FILE)),
        )


def write_export(folder: Folder, export: Callable[[str], object]) -> dict[str, str]:
    """Copies what `export` writes into a local directory to `adapter/`; returns the SHA-256 of each file."""
    with tempfile.TemporaryDirectory() as directory:
        export(directory)
        files = sorted(file for file in Path(directory).rglob("*") if file.is_file())
        names = {f"{ADAPTER_DIRECTORY}/{file.relative_to(directory)}": file for file in files}
        return {name: folder.write(name, file.read_bytes()) for name, file in names.items()}
