"""Colocated roles take turns on their GPU: whoever has no turn keeps its weights in CPU memory."""

import fcntl
import os
import tempfile
from pathlib import Path
from types import TracebackType

import ray
import torch
from torch import Tensor, nn

from eva_rl.config.align import AlignSettings

ASLEEP = torch.device("cpu")


class GpuTurn:
    """One role's turn on a GPU that it shares with others.

    Entering waits until no other role is awake and brings the weights to their device; leaving takes them
    back to CPU memory. Nothing about the numbers changes, only where the weights are between two calls.

    Args:
        lock_file: shared by the roles on one GPU; None if there is nobody to share it with.
    """

    def __init__(self, lock_file: Path | None) -> None:
        self._lock = None if lock_file is None else lock_file.open("a")
        self._homes: list[tuple[Tensor, torch.device]] = []

    def mind(self, module: nn.Module, *, only_frozen: bool = False) -> None:
        """Takes charge of a module's weights; called while the turn is entered.

        Args:
            module: on the device where it works.
            only_frozen: leave trained weights alone; DeepSpeed knows where they are.
        """
        tensors = [*module.parameters(), *module.buffers()]
        self._homes += [
            (tensor, tensor.device) for tensor in tensors if not (only_frozen and tensor.requires_grad)
        ]

    def __enter__(self) -> "GpuTurn":
        if self._lock is not None:
            fcntl.flock(self._lock, fcntl.LOCK_EX)
            for tensor, home in self._homes:
                tensor.data = tensor.data.to(home)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._lock is None:
            return
        for tensor, _ in self._homes:
            tensor.data = tensor.data.to(ASLEEP)
        if torch.cuda.is_available():
            torch.cuda.empty_cache()  # what the allocator keeps would be missing for the next role
        fcntl.flock(self._lock, fcntl.LOCK_UN)


def gpu_turn(settings: AlignSettings) -> GpuTurn:
    """The turn of the calling actor; without cluster.idle_roles_sleep, or outside of Ray, it costs nothing.

    Roles of one placement group that see the same GPU share a lock in the machine's temporary directory,
    which the system releases when its holder dies.
    """
    if not (settings.cluster.idle_roles_sleep and ray.is_initialized()):
        return GpuTurn(None)
    group = ray.get_runtime_context().get_placement_group_id()
    gpu = os.environ.get("CUDA_VISIBLE_DEVICES", "").replace(",", "-") or "none"
    return GpuTurn(Path(tempfile.gettempdir()) / f"eva_rl-{group}-{gpu}.turn")
