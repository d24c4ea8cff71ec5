"""Reads a released `resnet_plus` checkpoint and writes it as a model directory."""

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from eva_rl.idm.resnet_plus import ResNetPlusModel
from eva_rl.idm.resnet_plus_architecture import EVA_WINDOW_OFFSET_S, ChannelOrder, ResNetPlusArchitecture
from eva_rl.trust.weight_files import check_safetensors, check_tensors, check_torch_file

MAX_BYTES = 4 * 10**9
"""Of the file; the released one has a tenth of a gigabyte."""
UNUSED = "model.backbone.fc."
PARALLEL_PREFIX = "module."
FIRST_CONVOLUTION = "model.backbone.conv1.weight"
HEAD_OUTPUT = "model.mlp_head.6.weight"
TEMPERATURE = "model.spatial_softmax.temperature"


class ImportedIdmError(ValueError):
    """A checkpoint that is not a `resnet_plus` of the wanted shape."""


def import_singleview(
    source: Path,
    destination: Path,
    *,
    frame_period_s: float,
    channel_order: ChannelOrder = "rgb",
    num_dimensions: int = 14,
    gripper_dimensions: tuple[int, ...] = (6, 13),
    window_offset_s: float = EVA_WINDOW_OFFSET_S,
    input_size: int = 512,
) -> ResNetPlusArchitecture:
    """Turns `IDM_singleview.pt` into a model directory; nothing is written unless every tensor fits.

    Args:
        source: file of `torch.save`: a state dict, or a dictionary with one as `model_state_dict`.
        destination: directory to write.
        frame_period_s: seconds between two frames of the clips that will be read, e.g. 0.1125.
        channel_order: of the pictures that the checkpoint was trained on. EVA's reward feeds it RGB, while
            its published loader trains on swapped pictures, so compare both on recorded clips.
        num_dimensions: length of an action.
        gripper_dimensions: which of them are grippers.
        window_offset_s: reach of the window, s.
        input_size: rows and columns of the network's pictures.

    Returns:
        What was written to config.json.

    Raises:
        ImportedIdmError: unreadable file, or the first key that is missing, unexpected or of another shape.
        ValueError: frame period and window do not fit each other.
    """
    weights = _read_weights(source)
    _check_sizes(weights, source, num_dimensions=num_dimensions)
    architecture = ResNetPlusArchitecture(
        num_dimensions=num_dimensions,
        gripper_dimensions=gripper_dimensions,
        frame_period_s=frame_period_s,
        window_offset_s=window_offset_s,
        input_size=input_size,
        channel_order=channel_order,
        width=weights[FIRST_CONVOLUTION].shape[0],
    )
    model = ResNetPlusModel(architecture)
    wanted = model.state_dict()
    given = {name: value for name, value in weights.items() if not name.startswith(UNUSED)}
    given |= {name: torch.zeros_like(value) for name, value in wanted.items() if name.startswith(UNUSED)}
    _check_keys(given, wanted, source)
    model.load_state_dict(given)
    model.save(destination)
    return architecture


def _read_weights(source: Path) -> dict[str, Tensor]:
    """The state dict of the file, without the prefix of data-parallel training."""
    if not source.is_file():
        raise ImportedIdmError(f"{source} is missing: give the file IDM_singleview.pt")
    try:
        check_torch_file(source, max_bytes=MAX_BYTES)
        if source.suffix == ".safetensors":  # torch.load reads these too
            check_safetensors(source)
        content = torch.load(source, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ImportedIdmError(
            f"{source} is no file of plain tensors written by torch.save: {reason}"
        ) from error
    if isinstance(content, Mapping) and "model_state_dict" in content:
        content = content["model_state_dict"]
    if not isinstance(content, Mapping) or not content:
        raise ImportedIdmError(f"{source} must hold a state dict, got {type(content).__name__}")
    weights = {_plain_name(name, source): _tensor(name, value, source) for name, value in content.items()}
    check_tensors(weights, source)
    return weights


def _plain_name(name: Any, source: Path) -> str:
    if not isinstance(name, str):
        raise ImportedIdmError(f"{source}: keys must be names of tensors, got {name!r}")
    return name.removeprefix(PARALLEL_PREFIX)


def _tensor(name: Any, value: Any, source: Path) -> Tensor:
    if not isinstance(value, Tensor):
        raise ImportedIdmError(f"{source}: {name} must be a tensor, got {type(value).__name__}")
    return value


def _check_sizes(weights: Mapping[str, Tensor], source: Path, *, num_dimensions: int) -> None:
    """Refuses another window, another action or a temperature that turns the softmax around."""
    for name, dims in ((FIRST_CONVOLUTION, 4), (HEAD_OUTPUT, 2), (TEMPERATURE, 1)):
        if name not in weights:
            raise ImportedIdmError(f"{source}: {name} is missing; this is no resnet_plus checkpoint")
        if weights[name].dim() != dims:
            raise ImportedIdmError(
                f"{source}: {name} must have {dims} axes, got shape {list(weights[name].shape)}"
            )
    if weights[FIRST_CONVOLUTION].shape[1] != 9:
        raise ImportedIdmError(
            f"{source}: {FIRST_CONVOLUTION} must take 9 channels (3 frames of RGB), got "
            f"{weights[FIRST_CONVOLUTION].shape[1]}"
        )
    if weights[HEAD_OUTPUT].shape[0] != num_dimensions:
        raise ImportedIdmError(
            f"{source}: {HEAD_OUTPUT} must give {num_dimensions} dimensions, got "
            f"{weights[HEAD_OUTPUT].shape[0]}"
        )
    if not bool((weights[TEMPERATURE] > 0).all()):
        raise ImportedIdmError(f"{source}: {TEMPERATURE} must be > 0, got {weights[TEMPERATURE].tolist()}")


def _check_keys(given: Mapping[str, Tensor], wanted: Mapping[str, Tensor], source: Path) -> None:
    """Names the first key, in alphabetical order, that differs."""
    for name in sorted(given.keys() | wanted.keys()):
        if name not in given:
            raise ImportedIdmError(f"{source}: {name} is missing")
        if name not in wanted:
            raise ImportedIdmError(f"{source}: {name} is unexpected; this is no resnet_plus checkpoint")
        if given[name].shape != wanted[name].shape:
            raise ImportedIdmError(
                f"{source}: {name} must have shape {list(wanted[name].shape)}, got {list(given[name].shape)}"
            )
        if given[name].is_floating_point() and not bool(given[name].isfinite().all()):
            raise ImportedIdmError(f"{source}: {name} holds values that are not finite")
