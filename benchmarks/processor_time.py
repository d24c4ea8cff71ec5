"""Processor time of this process, and of Ray's below it."""

import contextlib
import threading

import psutil


class ProcessorTime:
    """A context manager that measures; samples, because Ray's processes come and go meanwhile.

    Args:
        with_children: whether the processes below this one count.

    Attributes:
        used_s: seconds of processor time, once the block is over.
    """

    def __init__(self, *, with_children: bool = True) -> None:
        self._with_children = with_children
        self._seen: dict[int, float] = {}
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self.used_s = 0.0

    def __enter__(self) -> "ProcessorTime":
        self._sample()
        self._before = sum(self._seen.values())
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._is_over.set()
        self._thread.join()
        self._sample()
        self.used_s = sum(self._seen.values()) - self._before

    def _watch(self) -> None:
        while not self._is_over.wait(1.0):
            self._sample()

    def _sample(self) -> None:
        own = psutil.Process()
        for process in (own, *(own.children(recursive=True) if self._with_children else ())):
            with contextlib.suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                self._seen[process.pid] = times.user + times.system
