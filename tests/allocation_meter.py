"""Counts the bytes of all tensors that are alive, operation by operation."""

import weakref

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class AllocationMeter(TorchDispatchMode):
    """Inside the `with` block, follows every storage that an operation makes until it is freed.

    What existed before is not counted. Workspaces inside one operation are not seen.

    Attributes:
        live_bytes: alive now.
        peak_bytes: the most that was ever alive.
    """

    def __init__(self) -> None:
        super().__init__()
        self.live_bytes = self.peak_bytes = 0
        self._known: set[int] = set()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        before = {
            leaf.untyped_storage()._cdata
            for leaf in tree_leaves((args, kwargs))
            if isinstance(leaf, torch.Tensor)
        }
        result = function(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, torch.Tensor):
                self._follow(leaf.untyped_storage(), before)
        return result

    def _follow(self, storage, before) -> None:
        key = storage._cdata
        if key in self._known or key in before:
            return
        num_bytes = storage.nbytes()
        self._known.add(key)
        self.live_bytes += num_bytes
        self.peak_bytes = max(self.peak_bytes, self.live_bytes)
        weakref.finalize(storage, self._forget, key, num_bytes)

    def _forget(self, key, num_bytes) -> None:
        self._known.discard(key)
        self.live_bytes -= num_bytes
