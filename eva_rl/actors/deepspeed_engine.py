"""A DeepSpeed engine around a network whose only trained weights are an adapter."""

import importlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.optim.lr_scheduler import ConstantLR, CosineAnnealingLR, LinearLR, SequentialLR

from eva_rl.actors.finite_gradients import SkippingAdamW
from eva_rl.config.roles import LearnerSettings


@dataclass(frozen=True, kw_only=True)
class Rendezvous:
    """Where the learner's ranks meet.

    Example:
        Rendezvous(address="127.0.0.1", port=40123, rank=0, num_ranks=2)
    """

    address: str
    port: int
    rank: int
    num_ranks: int


def start_engine(
    network: nn.Module,
    settings: LearnerSettings,
    rendezvous: Rendezvous,
    *,
    num_micro_batches: int,
    num_updates: int,
) -> Any:
    """Joins the process group and wraps the network.

    Args:
        network: with gradients switched on for the adapter alone.
        settings: optimiser and ZeRO stage.
        rendezvous: where the ranks meet.
        num_micro_batches: backward passes per optimiser step.
        num_updates: optimiser steps of the whole run, for the learning-rate schedule.
    """
    os.environ |= {
        "MASTER_ADDR": rendezvous.address,
        "MASTER_PORT": str(rendezvous.port),
        "RANK": str(rendezvous.rank),
        "LOCAL_RANK": "0" if torch.cuda.is_available() else str(rendezvous.rank),
        "WORLD_SIZE": str(rendezvous.num_ranks),
    }
    if not torch.cuda.is_available():
        os.environ["DS_ACCELERATOR"] = "cpu"
    deepspeed: Any = importlib.import_module("deepspeed")  # reads DS_ACCELERATOR when it is imported
    # Its shared-memory collectives are compiled at first use: 46 s, and a compiler that a bare machine lacks.
    deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
    backend = "nccl" if torch.cuda.is_available() else "gloo"
    deepspeed.init_distributed(dist_backend=backend, auto_mpi_discovery=False, verbose=False)
    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
    optimizer = SkippingAdamW(
        parameters, lr=settings.learning_rate, betas=settings.betas, weight_decay=settings.weight_decay
    )
    num_trained = sum(parameter.numel() for parameter in parameters)
    config = _engine_config(settings, num_micro_batches, dtype=parameters[0].dtype, num_trained=num_trained)
    # ZeRO-3 cuts all weights into pieces of one precision, so there the rounding stays
    kept = _float32_layers(network) if settings.zero_stage < 3 else []
    engine, *_ = deepspeed.initialize(
        model=network,
        model_parameters=parameters,
        optimizer=optimizer,
        lr_scheduler=_learning_rate_schedule(optimizer, settings, num_updates),
        config=config,
    )
    for parameter, values in kept:
        parameter.data = values.to(parameter.device)
    return engine


def _float32_layers(network: nn.Module) -> list[tuple[nn.Parameter, torch.Tensor]]:
    """Copies of the frozen float32 weights of a network whose adapter is in another precision.

    diffusers leaves norms and time embedding of a bfloat16 network in float32, and DeepSpeed rounds them
    while it starts: the learner would be another policy than the one that sampled, and the first ratio off
    by more than EVA's clip range.
    """
    if all(weight.dtype == torch.float32 for weight in network.parameters() if weight.requires_grad):
        return []
    return [
        (weight, weight.detach().clone())
        for weight in network.parameters()
        if weight.dtype == torch.float32 and not weight.requires_grad
    ]


@contextmanager
def whole_parameters(engine: Any, *, writes: bool = False) -> Iterator[None]:
    """Makes the adapter's tensors whole on every rank while ZeRO-3 keeps them in pieces.

    A collective: every rank enters it.

    Args:
        engine: DeepSpeed's.
        writes: what is written inside stays, where all ranks write the same.
    """
    import deepspeed

    if engine.zero_optimization_stage() < 3:
        yield
        return
    parameters = [parameter for parameter in engine.module.parameters() if parameter.requires_grad]
    with deepspeed.zero.GatheredParameters(parameters, modifier_rank=0 if writes else None):
        yield


def _learning_rate_schedule(
    optimizer: torch.optim.Optimizer, settings: LearnerSettings, num_updates: int
) -> SequentialLR:
    """A linear rise whose first update already learns, then the chosen decay to the end of the run."""
    num_left = max(1, num_updates - settings.warmup_steps)
    warmup = LinearLR(
        optimizer, start_factor=1 / (settings.warmup_steps + 1), total_iters=max(1, settings.warmup_steps)
    )
    decays = {
        "constant": lambda: ConstantLR(optimizer, factor=1.0),
        "linear": lambda: LinearLR(
            optimizer, start_factor=1.0, end_factor=1 / num_left, total_iters=num_left
        ),
        "cosine": lambda: CosineAnnealingLR(optimizer, T_max=num_left),
    }
    return SequentialLR(optimizer, [warmup, decays[settings.decay]()], milestones=[settings.warmup_steps])


def _engine_config(
    settings: LearnerSettings, num_micro_batches: int, *, dtype: torch.dtype, num_trained: int
) -> dict[str, Any]:
    zero: dict[str, Any] = {
        "stage": settings.zero_stage,
        "stage3_param_persistence_threshold": 0,
        # its default of 5e8 elements holds 2 GB for an adapter of a tenth of that
        "reduce_bucket_size": min(500_000_000, num_trained),
    }
    if settings.offloads_optimizer:
        zero["offload_optimizer"] = {"device": "cpu"}
    return {
        "train_micro_batch_size_per_gpu": 1,
        "gradient_accumulation_steps": num_micro_batches,
        "gradient_clipping": settings.max_grad_norm,
        "zero_optimization": zero,
        "bf16": {"enabled": dtype == torch.bfloat16},
        "zero_allow_untested_optimizer": True,
        "zero_force_ds_cpu_optimizer": False,
        "steps_per_print": 10**9,
    }


def mean_over_ranks(values: dict[str, torch.Tensor]) -> dict[str, float]:
    """Averages scalars over all ranks; a collective."""
    stacked = torch.stack([value.float() for value in values.values()])
    torch.distributed.all_reduce(stacked)
    means = (stacked / torch.distributed.get_world_size()).tolist()
    return dict(zip(values, means, strict=True))
