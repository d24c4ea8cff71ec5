"""Adapters in files: reads what a run exported, and starts another run from it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor, nn

from eva_rl.trust.weight_files import check_safetensors
from eva_rl.world_model.lora import adapter_parameters
from eva_rl.world_model.two_experts import experts_of, has_adapter

ADAPTER_FILES: Mapping[str, str] = {
    "transformer": "pytorch_lora_weights.safetensors",
    "transformer_2": "pytorch_lora_weights_2.safetensors",
}
"""File of each transformer's adapter in a directory; the first is the name that diffusers looks for."""

METADATA_KEY = "lora_adapter_metadata"  # diffusers'
PREFIX = "transformer."  # diffusers' for either expert


@dataclass(frozen=True, kw_only=True)
class AdapterFile:
    """The adapter of one transformer.

    Example:
        AdapterFile(file=Path("adapter/pytorch_lora_weights.safetensors"), rank=16, alpha=16.0,
                    target_modules=("to_q", "to_v"), tensors={"blocks.0.attn1.to_q.lora_A.weight": ...})

    Attributes:
        rank, alpha, target_modules: what it was attached with.
        tensors: by their names in the transformer.
    """

    file: Path
    rank: int
    alpha: float
    target_modules: tuple[str, ...]
    tensors: dict[str, Tensor]


def read_adapter_files(path: str | Path) -> dict[str, AdapterFile]:
    """Reads an exported adapter.

    Args:
        path: directory that `export_adapter` wrote, or one of its files.

    Returns:
        Adapters by the transformer's name in a pipeline directory.

    Raises:
        FileNotFoundError: if there is none.
        ValueError: if a file does not say rank and alpha.
    """
    path = Path(path)
    if path.is_file():
        is_second = path.name == ADAPTER_FILES["transformer_2"]
        found = {"transformer_2" if is_second else "transformer": path}
    else:
        found = {name: path / file for name, file in ADAPTER_FILES.items() if (path / file).is_file()}
    if not found:
        raise FileNotFoundError(
            f"{path} holds no adapter: name a directory with {ADAPTER_FILES['transformer']}, as a run "
            "exports it, or the file itself"
        )
    return {name: _read(file) for name, file in found.items()}


@torch.no_grad()
def load_adapter(transformer: nn.Module, path: str | Path) -> None:
    """Copies an exported adapter into the attached one.

    Args:
        transformer: with an adapter of the same rank, alpha and layers.
        path: as for `read_adapter_files`.

    Raises:
        FileNotFoundError: if there is none.
        ValueError: naming what differs.
    """
    files = read_adapter_files(path)
    adapted = {name: expert for name, expert in experts_of(transformer).items() if has_adapter(expert)}
    if files.keys() != adapted.keys():
        raise ValueError(
            f"adapter.directory {path} holds the adapter of {sorted(files)}, but adapter.experts attaches "
            f"one to {sorted(adapted)}"
        )
    for name, expert in adapted.items():
        _check_sizes(files[name], expert)
        own = {key.replace(".default.", "."): weight for key, weight in adapter_parameters(expert)}
        tensors = files[name].tensors
        if own.keys() != tensors.keys():
            raise ValueError(
                f"adapter.directory: {files[name].file} has other layers than adapter.target_modules, "
                f"for example {sorted(own.keys() ^ tensors.keys())[:3]}; it was made with "
                f"target_modules {list(files[name].target_modules)}"
            )
        for key, weight in own.items():
            if weight.shape != tensors[key].shape:
                raise ValueError(
                    f"adapter.directory: {key} in {files[name].file} is {list(tensors[key].shape)}, this "
                    f"model's {list(weight.shape)}: the adapter belongs to a network of another size"
                )
            weight.copy_(tensors[key])


def _check_sizes(adapter: AdapterFile, expert: Any) -> None:
    config = expert.peft_config["default"]
    for name, wanted, got in (("rank", config.r, adapter.rank), ("alpha", config.lora_alpha, adapter.alpha)):
        if float(wanted) != float(got):
            raise ValueError(
                f"adapter.directory: {adapter.file} was made with adapter.{name} = {got:g}, the settings say "
                f"{wanted:g}; set adapter.{name} to {got:g}"
            )


def _read(file: Path) -> AdapterFile:
    check_safetensors(file)
    with safe_open(file, framework="pt") as opened:
        packed = json.loads((opened.metadata() or {}).get(METADATA_KEY, "{}"))
        tensors = {name.removeprefix(PREFIX): opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    metadata = {name.removeprefix(PREFIX): value for name, value in packed.items()}
    if "r" not in metadata or "lora_alpha" not in metadata:
        raise ValueError(
            f"{file} does not say rank and alpha of its adapter ({METADATA_KEY} in its header): without them "
            "its strength is unknown; use a file that a run exported"
        )
    return AdapterFile(
        file=file,
        rank=int(metadata["r"]),
        alpha=float(metadata["lora_alpha"]),
        target_modules=tuple(metadata.get("target_modules") or ()),
        tensors=tensors,
    )
