"""Reads and writes a model directory: `model.safetensors` and `config.json`."""

import dataclasses
import json
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file
from torch import Tensor

from eva_rl.idm.architecture import IdmArchitecture

WEIGHTS_FILE = "model.safetensors"
CONFIG_FILE = "config.json"


def write(directory: str | Path, *, architecture: IdmArchitecture, weights: dict[str, Tensor]) -> None:
    """Writes both files; the directory is made if missing."""
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    save_file({name: weight.contiguous() for name, weight in weights.items()}, directory / WEIGHTS_FILE)
    (directory / CONFIG_FILE).write_text(json.dumps(dataclasses.asdict(architecture), indent=2) + "\n")


def read_architecture(directory: str | Path) -> IdmArchitecture:
    """Reads `config.json`.

    Raises:
        FileNotFoundError: if it is missing.
        ValueError: if its keys are not those of `IdmArchitecture`.
    """
    path = _existing(Path(directory) / CONFIG_FILE)
    values: dict[str, Any] = json.loads(path.read_text())
    fields = dataclasses.fields(IdmArchitecture)
    required = {field.name for field in fields if field.default is dataclasses.MISSING}
    wrong = (values.keys() - {field.name for field in fields}) | (required - values.keys())
    if wrong:
        raise ValueError(
            f"{path}: keys {sorted(wrong)} are unknown or missing; the file is not of this version"
        )
    for name in ("gripper_dimensions", "channels"):
        if name in values:
            values[name] = tuple(values[name])
    return IdmArchitecture(**values)


def read_weights(directory: str | Path) -> dict[str, Tensor]:
    """Reads `model.safetensors`.

    Raises:
        FileNotFoundError: if it is missing.
    """
    return load_file(_existing(Path(directory) / WEIGHTS_FILE))


def _existing(path: Path) -> Path:
    """The path, if there is such a file."""
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} is missing: train an inverse dynamics model on recorded episodes first, or point the "
            "setting at the directory of one"
        )
    return path
