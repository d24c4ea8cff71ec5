"""Reads and writes a model directory: `model.safetensors` and `config.json`."""

import dataclasses
import json
from pathlib import Path
from typing import Any, TypeVar

from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from eva_rl.trust.weight_files import check_safetensors

WEIGHTS_FILE = "model.safetensors"
CONFIG_FILE = "config.json"
Architecture = TypeVar("Architecture")
Model = TypeVar("Model", bound=nn.Module)
KIND_BEFORE_KINDS = "conv"  # a config.json without `kind` was written when there was only this one


def write(directory: str | Path, *, kind: str, architecture: Any, weights: dict[str, Tensor]) -> None:
    """Writes both files; the directory is made if missing.

    Args:
        directory: of the model.
        kind: row of `IDM_KINDS`.
        architecture: the kind's dataclass.
        weights: state dict.
    """
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    save_file({name: weight.contiguous() for name, weight in weights.items()}, directory / WEIGHTS_FILE)
    config = {"kind": kind, **dataclasses.asdict(architecture)}
    (directory / CONFIG_FILE).write_text(json.dumps(config, indent=2) + "\n")


def open_model(model: type[Model], directory: str | Path, architecture: type[Any], *, kind: str) -> Model:
    """Opens a trained model of one kind, in eval mode.

    Args:
        model: class, made of its architecture.
        directory: of the model.
        architecture: the kind's dataclass.
        kind: row of `IDM_KINDS`.

    Raises:
        FileNotFoundError: if weights or config.json are missing.
        ValueError: if config.json is of another kind.
    """
    opened = model(read_architecture(directory, architecture, kind=kind))
    opened.load_state_dict(read_weights(directory))
    return opened.eval()


def read_kind(directory: str | Path) -> str:
    """Reads which row of `IDM_KINDS` a directory holds.

    Raises:
        FileNotFoundError: if `config.json` is missing.
        ValueError: if it is no JSON object.
    """
    return _read_config(directory).get("kind", KIND_BEFORE_KINDS)


def read_architecture(directory: str | Path, architecture: type[Architecture], *, kind: str) -> Architecture:
    """Reads `config.json` as one kind's architecture.

    Raises:
        FileNotFoundError: if it is missing.
        ValueError: if it is of another kind, or its keys are not those of the dataclass.
    """
    path = Path(directory) / CONFIG_FILE
    values = _read_config(directory)
    found = values.pop("kind", KIND_BEFORE_KINDS)
    if found != kind:
        raise ValueError(f"{path}: kind is {found!r}, wanted {kind!r}; open it with `open_idm`")
    fields = dataclasses.fields(architecture)  # pyright: ignore[reportArgumentType]  always a dataclass
    required = {field.name for field in fields if field.default is dataclasses.MISSING}
    wrong = (values.keys() - {field.name for field in fields}) | (required - values.keys())
    if wrong:
        raise ValueError(
            f"{path}: keys {sorted(wrong)} are unknown or missing; the file is not of this version"
        )
    return architecture(
        **{name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
    )


def read_weights(directory: str | Path) -> dict[str, Tensor]:
    """Reads `model.safetensors`.

    Raises:
        FileNotFoundError: if it is missing.
        HostileFileError: if it is not what it claims to be.
    """
    file = _existing(Path(directory) / WEIGHTS_FILE)
    check_safetensors(file)
    return load_file(file)


def _read_config(directory: str | Path) -> dict[str, Any]:
    """The JSON object in `config.json`."""
    path = _existing(Path(directory) / CONFIG_FILE)
    values = json.loads(path.read_text())
    if not isinstance(values, dict):
        raise ValueError(f"{path}: must hold a JSON object, got {type(values).__name__}")
    return values


def _existing(path: Path) -> Path:
    """The path, if there is such a file."""
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} is missing: train an inverse dynamics model on recorded episodes first, or point the "
            "setting at the directory of one"
        )
    return path
