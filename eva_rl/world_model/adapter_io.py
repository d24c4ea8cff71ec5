"""Moves the adapter: as one flat buffer between processes, as files that diffusers loads."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from diffusers import WanImageToVideoPipeline, WanTransformer3DModel
from jaxtyping import Float
from peft import get_peft_model_state_dict
from torch import Tensor, nn

from eva_rl.records.adapter import AdapterWeights
from eva_rl.world_model.adapter_files import ADAPTER_FILES
from eva_rl.world_model.lora import adapter_parameters, live_version
from eva_rl.world_model.two_experts import TwoExperts, experts_of, has_adapter

LENGTH_BYTES = 8
"""A safetensors file begins with the length of its header, as so many bytes."""


def read_adapter(transformer: nn.Module, training_step: int) -> AdapterWeights:
    """Copies the live adapter into one float32 buffer, in sorted name order.

    Args:
        transformer: with an adapter.
        training_step: number of training steps that made the weights.
    """
    values = [weight.detach().float().cpu().flatten() for _, weight in adapter_parameters(transformer)]
    return AdapterWeights(
        version=live_version(transformer, training_step), values=torch.cat(values).numpy().astype(np.float32)
    )


def write_adapter(transformer: nn.Module, weights: AdapterWeights) -> None:
    """Copies a flat buffer into the live adapter and checks that it arrived.

    Raises:
        ValueError: if the buffer has another size than this transformer's adapter.
        RuntimeError: if the live weights do not have the buffer's content hash afterwards.
    """
    parameters = adapter_parameters(transformer)
    num_values = sum(weight.numel() for _, weight in parameters)
    if weights.values.size != num_values:
        raise ValueError(
            f"the adapter of training step {weights.version.training_step} has {weights.values.size} values, "
            f"this transformer's has {num_values}: rank and target_modules must be the same in every process"
        )
    _fill(parameters, torch.tensor(weights.values))  # a copy: buffers from an object store are read-only
    arrived = live_version(transformer, weights.version.training_step)
    if arrived != weights.version:
        raise RuntimeError(
            f"adapter {weights.version.content_hash} of training step {weights.version.training_step} reads "
            f"{arrived.content_hash} after writing: the buffer was damaged, or its layers or precision differ"
        )


@contextmanager
def borrowed_adapter(transformer: nn.Module, values: Float[Tensor, " values"]) -> Iterator[None]:
    """Puts another adapter into the network inside the `with` block; the live one comes back bit for bit.

    Args:
        transformer: with an adapter whose tensors are whole on this process.
        values: all tensors of the other adapter, in the order of `read_adapter`.
    """
    parameters = adapter_parameters(transformer)
    live = torch.cat([weight.detach().flatten() for _, weight in parameters])
    _fill(parameters, values)
    try:
        yield
    finally:
        _fill(parameters, live)


def export_adapter(transformer: WanTransformer3DModel | TwoExperts, directory: str | Path) -> Path:
    """Writes the adapter so that `pipeline.load_lora_weights` applies it, rank and alpha included.

    Of two experts each has its own file (`ADAPTER_FILES`): load the second with `weight_name` set to it and
    `load_into_transformer_2=True`.

    Returns:
        The file written, or the first of two.
    """
    directory = Path(directory)
    adapted = {name: expert for name, expert in experts_of(transformer).items() if has_adapter(expert)}
    for name, expert in adapted.items():
        layers: dict[str, nn.Module | Tensor] = dict(get_peft_model_state_dict(expert))
        facts = expert.peft_config["default"].to_dict()
        facts["target_modules"] = sorted(facts["target_modules"])  # a set: its order differs per process
        # without the metadata diffusers takes alpha = rank on loading, silently
        WanImageToVideoPipeline.save_lora_weights(
            directory,
            weight_name=ADAPTER_FILES[name],
            transformer_lora_layers=layers,
            transformer_lora_adapter_metadata=facts,
        )
        _sort_header(directory / ADAPTER_FILES[name])
    return directory / ADAPTER_FILES[next(iter(adapted))]


def _sort_header(file: Path) -> None:
    """Equal adapters are equal files: safetensors writes its metadata in an order that chance decides."""
    content = file.read_bytes()
    end = LENGTH_BYTES + int.from_bytes(content[:LENGTH_BYTES], "little")
    header = json.loads(content[LENGTH_BYTES:end])
    text = json.dumps(header, sort_keys=True, separators=(",", ":")).encode()
    text += b" " * (-len(text) % LENGTH_BYTES)  # the tensors begin at a multiple of 8
    file.write_bytes(len(text).to_bytes(LENGTH_BYTES, "little") + text + content[end:])


@torch.no_grad()
def _fill(parameters: Sequence[tuple[str, nn.Parameter]], values: Float[Tensor, " values"]) -> None:
    pieces = values.split([weight.numel() for _, weight in parameters])
    for (_, weight), piece in zip(parameters, pieces, strict=True):
        weight.copy_(piece.view_as(weight))
