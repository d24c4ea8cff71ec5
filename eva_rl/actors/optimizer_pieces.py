"""Which part of the adapter's optimiser this rank holds, in every layout that DeepSpeed has."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

NamedParameters = Sequence[tuple[str, nn.Parameter]]
MOMENTS = ("exp_avg", "exp_avg_sq")
"""AdamW's running means of the gradient and of its square."""


@dataclass(frozen=True, kw_only=True)
class OptimizerPiece:
    """A stretch of one adapter tensor whose float32 weights and moments this rank's AdamW updates.

    Example:
        OptimizerPiece(name="blocks.0.attn1.to_q.lora_A.default.weight", start=0, weights=float32[96],
                       key=Parameter(float32[4096]), offset=512)

    Attributes:
        name: of the adapter tensor.
        start: first value of the stretch in the flattened tensor.
        weights: view of the float32 weights, flat.
        key: tensor under which AdamW keeps its state; it may hold many pieces.
        offset: first value of the stretch in the flattened `key`.
    """

    name: str
    start: int
    weights: Tensor
    key: Tensor
    offset: int

    def moment(self, optimizer: torch.optim.Optimizer, name: str) -> Tensor | None:
        """View of this stretch of one of MOMENTS; None before the first update."""
        state = optimizer.state.get(self.key, {})
        if name not in state:
            return None
        return state[name].flatten().narrow(0, self.offset, self.weights.numel())


def adamw_of(engine: Any) -> torch.optim.Optimizer:
    """The AdamW inside whatever DeepSpeed wrapped around it."""
    optimizer = engine.optimizer
    return optimizer if isinstance(optimizer, torch.optim.Optimizer) else optimizer.optimizer


def pieces_of(engine: Any, parameters: NamedParameters) -> list[OptimizerPiece]:
    """Every stretch of the adapter that this rank updates; with ZeRO 0 that is all of it."""
    if engine.zero_optimization_stage() == 3:
        return list(_of_stage_3(engine.optimizer, parameters))
    if hasattr(parameters[0][1], "_hp_mapping"):
        return list(_of_flat_partitions(engine.optimizer, parameters))
    return list(_of_whole_tensors(engine.optimizer, parameters))


def _of_whole_tensors(optimizer: Any, parameters: NamedParameters) -> Iterator[OptimizerPiece]:
    """ZeRO 0: AdamW updates the parameters themselves, or float32 copies of bfloat16 ones."""
    masters: dict[int, Tensor] = {}
    if hasattr(optimizer, "fp32_groups"):
        for low, high in zip(optimizer.fp16_groups, optimizer.fp32_groups, strict=True):
            masters |= {id(parameter): master for parameter, master in zip(low, high, strict=True)}
    for name, parameter in parameters:
        master = masters.get(id(parameter), parameter)
        yield OptimizerPiece(name=name, start=0, weights=master.data.view(-1), key=master, offset=0)


def _of_flat_partitions(optimizer: Any, parameters: NamedParameters) -> Iterator[OptimizerPiece]:
    """ZeRO 1 and 2: each rank owns a stretch of one flat buffer of all parameters."""
    partitions = getattr(optimizer, "single_partition_of_fp32_groups", None)
    if partitions is None:  # DeepSpeed's BF16_Optimizer
        partitions = optimizer.fp32_groups_flat_partition
    for name, parameter in parameters:
        mapping: Any = parameter._hp_mapping  # pyright: ignore[reportAttributeAccessIssue]
        if mapping is not None:
            yield OptimizerPiece(
                name=name,
                start=mapping.lp_fragment_address.start,
                weights=mapping.hp_fragment.data,
                key=partitions[mapping.param_group_index],
                offset=mapping.hp_fragment_address.start,
            )


def _of_stage_3(optimizer: Any, parameters: NamedParameters) -> Iterator[OptimizerPiece]:
    """ZeRO 3: each rank owns an equal stretch of every parameter; the last may be padded."""
    for name, parameter in parameters:
        group, offset, padded = optimizer.grad_position[optimizer.get_param_id(parameter)]
        start = padded * optimizer._get_param_partition_rank(parameter)
        size = min(padded, parameter.ds_numel - start)  # pyright: ignore[reportAttributeAccessIssue]
        if size > 0:
            flat = optimizer.fp32_partitioned_groups_flat[group]
            yield OptimizerPiece(
                name=name, start=start, weights=flat.data.narrow(0, offset, size), key=flat, offset=offset
            )
