"""The optimiser as one set of whole tensors, whatever the number of ranks and the ZeRO stage."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from eva_rl.actors.deepspeed_engine import whole_parameters
from eva_rl.actors.optimizer_pieces import MOMENTS, NamedParameters, OptimizerPiece, adamw_of, pieces_of

WEIGHTS = "weights"


@dataclass(frozen=True, kw_only=True)
class OptimizerState:
    """Everything that AdamW and the learning-rate schedule remember.

    Example:
        OptimizerState(tensors={"weights/a": float32[4, 64], "exp_avg/a": float32[4, 64], …},
                       num_updates=20.0, learning_rate=0.001, schedule={"last_epoch": 20, …})

    Attributes:
        tensors: float32, whole, by `weights/<name>`, `exp_avg/<name>` and `exp_avg_sq/<name>`.
        num_updates: AdamW's own count, which its bias correction uses.
        learning_rate: of the next update.
        schedule: of the learning rate, as JSON.
    """

    tensors: Mapping[str, Tensor]
    num_updates: float
    learning_rate: float
    schedule: Mapping[str, Any]


def gather_optimizer(engine: Any, parameters: NamedParameters) -> OptimizerState:
    """Puts the optimiser's pieces together; a collective: every rank enters it and gets the whole.

    Args:
        engine: DeepSpeed's.
        parameters: the adapter's tensors by name, in the same order on every rank.
    """
    adamw = adamw_of(engine)
    pieces = {piece.name: piece for piece in pieces_of(engine, parameters)}
    is_split = engine.zero_optimization_stage() > 0
    tensors = {}
    for kind in (WEIGHTS, *MOMENTS):
        for name, parameter in parameters:
            whole = torch.zeros(_num_values(parameter), device=engine.device)
            if (piece := pieces.get(name)) is not None:
                values = piece.weights if kind == WEIGHTS else piece.moment(adamw, kind)
                if values is not None:
                    whole[piece.start : piece.start + len(values)] = values
            if is_split:  # as whole numbers: added as floats, -0 would come back as 0
                torch.distributed.all_reduce(whole.view(torch.int32))
            tensors[f"{kind}/{name}"] = whole.view(_shape(parameter)).cpu()
    return OptimizerState(
        tensors=tensors,
        num_updates=_num_updates(adamw, list(pieces.values()), device=engine.device),
        learning_rate=float(adamw.param_groups[0]["lr"]),
        schedule=engine.lr_scheduler.state_dict(),
    )


def scatter_optimizer(engine: Any, parameters: NamedParameters, state: OptimizerState) -> None:
    """Gives this rank its pieces back, and the network its weights; a collective.

    Raises:
        KeyError: the state is of another adapter.
    """
    adamw = adamw_of(engine)
    pieces = pieces_of(engine, parameters)
    for piece in pieces:
        _prepare(adamw, piece, num_updates=state.num_updates)
        stretch = slice(piece.start, piece.start + piece.weights.numel())
        piece.weights.copy_(state.tensors[f"{WEIGHTS}/{piece.name}"].flatten()[stretch])
        for kind in MOMENTS:
            moment = piece.moment(adamw, kind)
            if moment is not None:
                moment.copy_(state.tensors[f"{kind}/{piece.name}"].flatten()[stretch])
    with torch.no_grad(), whole_parameters(engine, writes=True):
        for name, parameter in parameters:
            parameter.copy_(state.tensors[f"{WEIGHTS}/{name}"])
    for group in adamw.param_groups:
        group["lr"] = state.learning_rate
    engine.lr_scheduler.load_state_dict(dict(state.schedule))


def _prepare(adamw: torch.optim.Optimizer, piece: OptimizerPiece, *, num_updates: float) -> None:
    """Makes the state that AdamW makes at its first update; before that it has none."""
    state = adamw.state.get(piece.key, {})
    if num_updates and not state:
        state = {name: torch.zeros_like(piece.key) for name in MOMENTS}
    if state:
        adamw.state[piece.key] = state | {"step": torch.tensor(float(num_updates))}


def _num_updates(
    adamw: torch.optim.Optimizer, pieces: Sequence[OptimizerPiece], *, device: torch.device
) -> float:
    """The same on every rank; one without a piece of its own asks the others."""
    steps = [float(adamw.state[piece.key]["step"]) for piece in pieces if piece.key in adamw.state]
    count = torch.tensor([max(steps, default=0.0)], device=device)
    torch.distributed.all_reduce(count, op=torch.distributed.ReduceOp.MAX)
    return float(count)


def _num_values(parameter: Any) -> int:
    """Of the whole tensor: ZeRO 3 leaves an empty one where it has cut a parameter."""
    return getattr(parameter, "ds_numel", parameter.numel())


def _shape(parameter: Any) -> torch.Size:
    return getattr(parameter, "ds_shape", parameter.shape)
