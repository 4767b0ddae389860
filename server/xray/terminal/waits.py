"""Waiting: for a key, for an answer, for time to pass; and, in each of these, for a signal that ends the command.

Python's own way with SIGINT is to raise KeyboardInterrupt between two bytecodes, wherever the program is. Where that is
a finalizer, or a callback of the collector, Python prints the exception and goes on, and the signal is lost. So here
the C-level handler writes the signal's number to a socket (signal.set_wakeup_fd), and every wait looks at it: a signal
ends the wait in which it comes, or the next one, as an exception of our own raised in a known place.

A second signal ends the process at once: a write to a pipe that nobody reads is no wait of ours.
"""

import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

from clerestory.server.loop.poller import READABLE, WRITABLE, Poller, open_poller

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Ended(Exception):
    """A signal has come that ends the command."""

    def __init__(self, number: int) -> None:
        super().__init__(f"signal {number}")
        self.number = number


class Waits:
    """What a command waits with: `wait`, and `Reached` sockets. Without `taken` it knows no signals."""

    def __init__(self) -> None:
        self._signals: socket.socket | None = None
        self._noted = False
        self._poller: Poller | None = None
        self.last_words: Callable[[], None] = lambda: None
        """Done before a second signal ends the process."""

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Signals come here while the block runs; only the main thread may take them."""
        reading, writing = socket.socketpair()
        reading.setblocking(False)
        writing.setblocking(False)
        with reading, writing:
            before = {number: signal.signal(number, self._note) for number in ENDING}
            descriptor = signal.set_wakeup_fd(writing.fileno(), warn_on_full_buffer=False)
            self._signals = reading
            try:
                yield
            finally:
                self._signals = None
                signal.set_wakeup_fd(descriptor)
                for number, handler in before.items():
                    signal.signal(number, handler)
                if self._poller is not None:
                    self._poller.close()
                    self._poller = None

    def wait(self, descriptor: int | None, interest: int, seconds: float | None) -> bool:
        """Whether `descriptor` is ready for that within so many seconds. Raises Ended. Another signal, such as that of
        a new window size, ends the wait early."""
        poller = self._poller = self._poller or self._made()
        self._look()
        if descriptor is not None:
            poller.register(descriptor, interest)
        try:
            ready = poller.wait(seconds)
        finally:
            if descriptor is not None:
                poller.unregister(descriptor)
        self._look()
        return any(number == descriptor for number, _ in ready)

    def _made(self) -> Poller:
        poller = open_poller("auto")
        if self._signals is not None:
            poller.register(self._signals.fileno(), READABLE)
        return poller

    def _look(self) -> None:
        """Take what has come. Raises Ended."""
        received = b""
        if self._signals is not None:
            with suppress(BlockingIOError):
                received = self._signals.recv(4096)
        for number in received:
            if number in ENDING:
                raise Ended(number)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        """Python's own handler: it raises nothing."""
        if self._noted:
            self.last_words()
            os._exit(128 + number)
        self._noted = True


class Reached(socket.socket):
    """A socket whose every wait is one of `waits`, of at most `seconds` seconds. Raises TimeoutError."""

    waits: Waits
    seconds: float

    @classmethod
    def to(cls, family: int, address: Any, waits: Waits, seconds: float) -> "Reached":
        """One that is connected to `address`. Raises OSError."""
        made = cls(family, socket.SOCK_STREAM)
        made.waits, made.seconds = waits, seconds
        try:
            made._reach(address)
        except BaseException:
            made.close()
            raise
        return made

    def _reach(self, address: Any) -> None:
        self.setblocking(False)
        try:
            self.connect(address)
        except BlockingIOError:
            if self.family != socket.AF_INET and self.family != socket.AF_INET6:
                raise  # a Unix socket's backlog is full: it does not connect later
            self._wait(WRITABLE)
            number = self.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if number:
                raise OSError(number, os.strerror(number)) from None

    def _wait(self, interest: int) -> None:
        if not self.waits.wait(self.fileno(), interest, self.seconds):
            raise TimeoutError("timed out")

    def recv_into(self, *arguments: Any) -> int:
        """As socket.recv_into; it waits."""
        while True:
            try:
                return super().recv_into(*arguments)
            except BlockingIOError:
                self._wait(READABLE)

    def sendall(self, data: Any, flags: int = 0) -> None:
        """As socket.sendall; it waits."""
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[self.send(rest, flags) :]
            except BlockingIOError:
                self._wait(WRITABLE)
