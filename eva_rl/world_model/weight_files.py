"""Reads the weights of a published checkpoint, in whichever container they come, without copying them."""

import json
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from eva_rl.trust.names import is_inside
from eva_rl.trust.weight_files import HostileFileError, check_safetensors, check_tensors, check_torch_file

MAX_BYTES = 200 * 10**9
"""Of a torch file; the largest published model of the family has 57 GB per network in float32."""
STATE_DICT = "state_dict"  # PyTorch Lightning's key
LIGHTNING_PREFIX = "model."


class WeightFileError(ValueError):
    """A file that holds no weights; the message names it."""


def read_weights(source: str | Path) -> dict[str, Tensor]:
    """Reads the tensors of a file or of a directory of shards, mapped from disk where the format allows it.

    Args:
        source: `.safetensors` file, `*.safetensors.index.json` of a sharded one, a directory that holds
            exactly one of the two, or a torch file (`.ckpt`, `.pt`, `.pth`): a plain state dict, or a
            Lightning checkpoint, of whose `state_dict` the names that begin with `model.` count.

    Raises:
        WeightFileError: missing, damaged, or no weights in it.
    """
    source = Path(source)
    if source.is_dir():
        source = _only_weights_of(source)
    if not source.is_file():
        raise WeightFileError(f"{source} is missing: name a .safetensors, .ckpt or .pt file")
    if source.name.endswith(".index.json"):
        return _read_shards(source)
    if source.suffix == ".safetensors":
        return _read_safetensors(source)
    return _read_torch(source)


def _only_weights_of(directory: Path) -> Path:
    indices = sorted(directory.glob("*.safetensors.index.json"))
    found = indices or sorted(directory.glob("*.safetensors"))
    if len(found) != 1:
        raise WeightFileError(
            f"{directory} holds {len(found)} candidates for the weights ({[file.name for file in found]}); "
            "name the file itself"
        )
    return found[0]


def _read_shards(index: Path) -> dict[str, Tensor]:
    try:
        places: dict[str, str] = json.loads(index.read_text())["weight_map"]
    except (json.JSONDecodeError, KeyError, UnicodeDecodeError) as error:
        raise WeightFileError(f"{index} is no index of a sharded safetensors file: {error}") from error
    weights: dict[str, Tensor] = {}
    for shard in sorted(set(places.values())):
        if not is_inside(shard):
            raise WeightFileError(f"{index} names {shard!r}, which does not lie in its directory")
        if not (index.parent / shard).is_file():
            raise WeightFileError(f"{index.parent / shard} is missing, although {index.name} names it")
        weights |= _read_safetensors(index.parent / shard)
    lost = sorted(places.keys() - weights.keys())
    if lost:
        raise WeightFileError(f"{index} names {lost[0]}, which none of its shards holds")
    return weights


def _read_safetensors(file: Path) -> dict[str, Tensor]:
    try:
        check_safetensors(file)
        return load_file(file)
    except (SafetensorError, HostileFileError, OSError) as error:
        raise WeightFileError(f"{file} is damaged or no safetensors file: {error}") from error


def _read_torch(file: Path) -> dict[str, Tensor]:
    try:
        check_torch_file(file, max_bytes=MAX_BYTES)
        # mapped, not read: 33 GB need not fit in memory twice; plain tensors only, so no code can run
        content: Any = torch.load(file, map_location="cpu", weights_only=True, mmap=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError, KeyError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise WeightFileError(
            f"{file} is no file of plain tensors written by torch.save: {reason}"
        ) from error
    if isinstance(content, Mapping) and isinstance(content.get(STATE_DICT), Mapping):
        content = {
            name.removeprefix(LIGHTNING_PREFIX): value
            for name, value in content[STATE_DICT].items()
            if str(name).startswith(LIGHTNING_PREFIX)
        }
    if not isinstance(content, Mapping) or not content:
        raise WeightFileError(
            f"{file} must hold a state dict, or a checkpoint whose state_dict has names that begin with "
            f"{LIGHTNING_PREFIX!r}; got {type(content).__name__}"
        )
    for name, value in content.items():
        if not isinstance(value, Tensor):
            raise WeightFileError(f"{file}: {name} must be a tensor, got {type(value).__name__}")
    check_tensors(content, file)
    return dict(content)
