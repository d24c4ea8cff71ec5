"""A moving average of a network's weights."""

import copy
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

Network = TypeVar("Network", bound=nn.Module)


class WeightAverage(Generic[Network]):
    """Exponential moving average of weights, short at first so that it forgets the random start.

    The decay after training step n is min(max_decay, 1 - 1 / (n / warmup_steps + 1)).

    Attributes:
        network: the averaged copy, in eval mode and frozen.
        num_updates: updates so far.
    """

    def __init__(self, network: Network, *, max_decay: float = 0.995, warmup_steps: float = 6.0) -> None:
        self.network = copy.deepcopy(network).eval().requires_grad_(False)
        self.num_updates = 0
        self._max_decay = max_decay
        self._warmup_steps = warmup_steps

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        """Moves the average towards the network's present weights; buffers are copied."""
        self.num_updates += 1
        decay = min(self._max_decay, 1.0 - 1.0 / (self.num_updates / self._warmup_steps + 1.0))
        averaged: list[Tensor] = list(self.network.parameters())
        present: list[Tensor] = list(network.parameters())
        torch._foreach_lerp_(averaged, present, 1.0 - decay)
        for kept, buffer in zip(self.network.buffers(), network.buffers(), strict=True):
            kept.copy_(buffer)
