"""Keeps a gradient that is not finite away from the weights: the step is skipped, on all ranks or on none."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn


class SkippingAdamW(torch.optim.AdamW):
    """AdamW whose next step can be left out: weights and moments stay as they are.

    DeepSpeed wraps the optimiser in every ZeRO stage and calls its `step` in all of them, so this is the one
    place that holds for all.

    Attributes:
        skips_next: leave the next step out.
    """

    skips_next = False

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One update, or none."""
        if self.skips_next:
            return None
        return super().step(closure)


class FiniteGradients:
    """Sees every local gradient before ranks exchange and clip it.

    Args:
        parameters: those that are trained.
        optimizer: to be told what to skip.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], optimizer: SkippingAdamW) -> None:
        self._optimizer = optimizer
        self._is_finite = torch.tensor(True)
        self.was_skipped = False
        for parameter in parameters:
            parameter.register_hook(self._see)

    def decide(self) -> None:
        """Agrees with the other ranks on whether the coming step counts; a collective."""
        flag = (~self._is_finite).float().reshape(1)
        torch.distributed.all_reduce(flag)
        self.was_skipped = bool(flag.item() > 0)
        self._optimizer.skips_next = self.was_skipped
        self._is_finite = torch.tensor(True)

    def _see(self, gradient: Tensor) -> Tensor:
        finite = gradient.isfinite().all()
        self._is_finite = self._is_finite.to(finite.device) & finite
        # one bad value would spread over the whole norm; the step is left out, so its place may hold anything
        return torch.where(finite, gradient, torch.zeros_like(gradient))
