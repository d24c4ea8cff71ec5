"""Writes a pipeline directory with an adapter merged into its weights."""

import json
from pathlib import Path

import torch
from safetensors import safe_open
from torch import nn

from eva_rl.trust.names import is_inside
from eva_rl.world_model.adapter_files import AdapterFile, read_adapter_files
from eva_rl.world_model.two_experts import experts_of
from eva_rl.world_model.world_model import WorldModel

STORED_DTYPES = {"F32": torch.float32, "BF16": torch.bfloat16, "F16": torch.float16}


def merge_adapter_into_directory(
    world_model_directory: str | Path, adapter: str | Path, out_directory: str | Path
) -> Path:
    """Writes a complete pipeline directory whose network is the base with the adapter added.

    The sum is formed in float32 and rounded once to the number format that the base is stored in.

    Args:
        world_model_directory: pipeline directory of the base.
        adapter: directory or file that a run exported.
        out_directory: where to write; must not hold a pipeline directory yet.

    Returns:
        The directory.

    Raises:
        FileExistsError: if there is a pipeline directory already.
        FileNotFoundError: if base or adapter are missing.
        ValueError: if the adapter does not fit the base.
    """
    out_directory = Path(out_directory)
    if (out_directory / "model_index.json").exists():
        raise FileExistsError(f"{out_directory} holds a pipeline directory already; name a new directory")
    files = read_adapter_files(adapter)
    world_model = WorldModel.from_directory(
        world_model_directory, dtype=_stored_dtype(Path(world_model_directory) / "transformer")
    )
    experts = experts_of(world_model.transformer)
    if not files.keys() <= experts.keys():
        raise ValueError(
            f"{adapter} holds the adapter of {sorted(files)}, but {world_model_directory} has only "
            f"{sorted(experts)}"
        )
    for name, file in files.items():
        _merge(experts[name], file)
    world_model.save(out_directory)
    return out_directory


@torch.no_grad()
def _merge(expert: nn.Module, adapter: AdapterFile) -> None:
    """Adds alpha / rank * B A to every adapted layer."""
    layers = {name.rsplit(".lora_", 1)[0] for name in adapter.tensors}
    weights = dict(expert.named_parameters())
    for layer in sorted(layers):
        weight, up = weights.get(f"{layer}.weight"), adapter.tensors.get(f"{layer}.lora_B.weight")
        down = adapter.tensors.get(f"{layer}.lora_A.weight")
        if weight is None or up is None or down is None or weight.shape != (len(up), down.shape[1]):
            raise ValueError(
                f"{adapter.file}: its layer {layer} does not fit the transformer; the adapter belongs to "
                "another model"
            )
        change = adapter.alpha / adapter.rank * (up.float() @ down.float())
        weight.copy_(weight.float() + change.to(weight.device))


def _stored_dtype(directory: Path) -> torch.dtype:
    """Number format of the first weight of a transformer's files."""
    index = directory / "diffusion_pytorch_model.safetensors.index.json"
    name = "diffusion_pytorch_model.safetensors"
    if index.is_file():
        name = min(json.loads(index.read_text())["weight_map"].values())
    if not is_inside(name):
        raise ValueError(f"{index} names {name!r}, which does not lie in its directory")
    if not (directory / name).is_file():
        raise FileNotFoundError(f"{directory / name} is missing: the transformer's weights are not there")
    with safe_open(directory / name, framework="pt") as opened:
        formats = {opened.get_slice(key).get_dtype() for key in opened.keys()}  # noqa: SIM118
    if not formats <= STORED_DTYPES.keys():
        raise ValueError(f"{directory / name} holds {sorted(formats)}; known are {sorted(STORED_DTYPES)}")
    # a half-precision network keeps a few layers, such as its norms, in float32
    halves = formats - {"F32"}
    return STORED_DTYPES[min(halves) if halves else "F32"]
