"""The descriptor by which other threads get the loop's attention: eventfd(2), or a pipe where there is none."""

import os
import threading
from collections import deque
from collections.abc import Callable

from clerestory.server.loop.base import BaseLoop
from clerestory.statemachines import wakeup
from clerestory.statemachines.engine import Engine, Machine


class WakeUp(Machine):
    """The callbacks that other threads have left for the loop, and the descriptor that tells it of them."""

    __slots__ = ("_calls", "_lock", "_loop", "_pending", "_write_end")

    def __init__(self, loop: BaseLoop) -> None:
        if hasattr(os, "eventfd"):
            read_end = self._write_end = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        else:
            read_end, self._write_end = os.pipe()
            os.set_blocking(read_end, False)
        super().__init__(Engine(wakeup.TABLE, WakeUp, loop.clock, dispatch=loop.dispatch), read_end)
        self._loop = loop
        self._calls: deque[Callable[[], None]] = deque()
        self._pending = False
        self._lock = threading.Lock()

    def call(self, callback: Callable[[], None]) -> None:
        """From any thread. Calls that come while one is pending cost no system call."""
        with self._lock:
            self._calls.append(callback)
            if not self._pending:
                self._pending = True
                os.write(self._write_end, (1).to_bytes(8, "little"))

    def run_callbacks(self, ready: int) -> None:  # noqa: ARG002
        """Take the wake-up, then run what has been left; what comes meanwhile wakes the loop again."""
        os.read(self.descriptor, 8)
        self._pending = False
        loop = self._loop
        since = loop.now
        for _ in range(len(self._calls)):
            try:
                self._calls.popleft()()
            except Exception as error:  # noqa: BLE001 - nobody could call any more if the wake-up ended for it
                loop.crashed(self, error)
            since = loop.flush_if_late(since)

    def close(self) -> None:
        """Close the descriptor, or both ends of the pipe. A thread that calls later finds a wake-up that is pending
        forever, and not a number that is somebody else's by then."""
        with self._lock:
            self._pending = True
        for descriptor in {self.descriptor, self._write_end}:
            os.close(descriptor)
