"""Every kind of descriptor there is, tried on one epoll: whether it fits, and whether it is reported when it should be.

A trial makes a descriptor and yields it; resumed, it makes the descriptor ready; in the end it closes it. Timers and
signals as descriptors are Linux's own; Python has names for the first from 3.13 on only, so the C library is asked.
"""

import contextlib
import ctypes
import os
import select
import signal
import socket
import subprocess
import tempfile
import threading
import tty
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.report import Table
from labs.findings import Claim, verdict

Trial = Generator[int, None, None]

LIBC = ctypes.CDLL(None, use_errno=True)
CLOCK_MONOTONIC, IN_CREATE = 1, 0x100
WAIT = 2.0
"""Seconds that a descriptor has to be reported after it was made ready."""


def timer() -> int:
    """A descriptor that is a timer, not yet set: timerfd_create(2)."""
    descriptor: int = LIBC.timerfd_create(CLOCK_MONOTONIC, os.O_CLOEXEC | os.O_NONBLOCK)
    return descriptor


def set_timer(descriptor: int, seconds: float) -> None:
    """Make the timer readable when so much time has passed."""
    times = (ctypes.c_long * 4)(0, 0, int(seconds), int(seconds % 1 * 1e9))  # the interval, and the first time
    LIBC.timerfd_settime(descriptor, 0, times, None)


def _listener() -> Trial:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.fileno()
        with socket.create_connection(listener.getsockname()):
            yield listener.fileno()


def _stream() -> Trial:
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()) as client:
        server, _ = listener.accept()
        with server:
            yield server.fileno()
            client.send(b"hello")
            yield server.fileno()


def _datagram() -> Trial:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        yield receiver.fileno()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(b"hello", receiver.getsockname())
        yield receiver.fileno()


def _written(reading: int, writing: int, data: bytes) -> Trial:
    """A pair of which one end is readable when the other was written to."""
    yield reading
    os.write(writing, data)
    yield reading
    for descriptor in {reading, writing}:
        os.close(descriptor)


def _terminal() -> Trial:
    keyboard, terminal = os.openpty()
    tty.setcbreak(terminal)
    return _written(terminal, keyboard, b"k")


def _event() -> Trial:
    descriptor = os.eventfd(0, os.EFD_NONBLOCK)
    return _written(descriptor, descriptor, (1).to_bytes(8, "little"))


def _timer() -> Trial:
    descriptor = timer()
    yield descriptor
    set_timer(descriptor, 0.01)
    yield descriptor
    os.close(descriptor)


def _signal() -> Trial:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2})
    bits = (ctypes.c_uint64 * 1)(1 << (signal.SIGUSR2 - 1))
    descriptor: int = LIBC.signalfd(-1, bits, os.O_CLOEXEC | os.O_NONBLOCK)
    yield descriptor
    signal.pthread_kill(threading.get_ident(), signal.SIGUSR2)
    yield descriptor
    os.read(descriptor, 128)
    os.close(descriptor)
    signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _process() -> Trial:
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as child:
        descriptor = os.pidfd_open(child.pid)
        yield descriptor
        child.communicate()
        yield descriptor
        os.close(descriptor)


def _folder_watch() -> Trial:
    with tempfile.TemporaryDirectory() as folder:
        descriptor: int = LIBC.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK)
        LIBC.inotify_add_watch(descriptor, folder.encode(), IN_CREATE)
        yield descriptor
        Path(folder, "new").touch()
        yield descriptor
        os.close(descriptor)


def _epoll() -> Trial:
    reading, writing = os.pipe()
    with select.epoll() as inner:
        inner.register(reading, select.EPOLLIN)
        yield inner.fileno()
        os.write(writing, b"x")
        yield inner.fileno()
    os.close(reading)
    os.close(writing)


def _file() -> Trial:
    with tempfile.TemporaryFile() as file:
        yield file.fileno()


def _folder() -> Trial:
    descriptor = os.open("/", os.O_RDONLY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


TRIALS: dict[str, tuple[str, Callable[[], Trial]]] = {
    "a listening socket": ("somebody has connected", _listener),
    "a TCP connection": ("bytes have come", _stream),
    "a UDP socket": ("a datagram has come", _datagram),
    "a pipe, as standard input may be": ("the other end was written to", lambda: _written(*os.pipe(), b"x")),
    "a terminal": ("a key was pressed", _terminal),
    "another thread (eventfd)": ("that thread has written a number", _event),
    "a timer (timerfd)": ("its time has come", _timer),
    "a signal (signalfd)": ("it was sent", _signal),
    "a process (pidfd)": ("it has ended", _process),
    "a directory's changes (inotify)": ("a file was made in it", _folder_watch),
    "another epoll": ("one of its descriptors is ready", _epoll),
    "a regular file": ("", _file),
    "a directory": ("", _folder),
}


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of descriptor: when it is readable, and what epoll made of it; `error` when it refused it."""

    name: str
    readable_when: str
    quiet: bool
    reported: bool
    error: str = ""

    @property
    def fits(self) -> bool:
        """Whether it was reported when it was ready, and not before."""
        return self.quiet and self.reported


def kinds() -> list[Kind]:
    """Try them all on one epoll, one after the other. What this system does not have at all counts as refused."""
    with select.epoll() as poller:
        return [_try(poller, name, when, begin) for name, (when, begin) in TRIALS.items()]


def _try(poller: select.epoll, name: str, when: str, begin: Callable[[], Trial]) -> Kind:
    trial = begin()
    descriptor = next(trial)
    try:
        poller.register(descriptor, select.EPOLLIN)
    except OSError as error:
        with contextlib.closing(trial):
            return Kind(name, when, False, False, error.strerror or str(error))
    quiet = not poller.poll(0)
    next(trial)
    reported = [ready for ready, _ in poller.poll(WAIT)] == [descriptor]
    poller.unregister(descriptor)
    next(trial, None)
    return Kind(name, when, quiet, reported)


def table(tried: Sequence[Kind]) -> Table:
    """All of them beside each other."""
    return Table(
        "What fits an event loop",
        ("kind of descriptor", "is readable when", "epoll"),
        [
            (kind.name, kind.readable_when or "(it always claims to be)", "reports it" if kind.fits else kind.error)
            for kind in tried
        ],
        left=frozenset({"is readable when", "epoll"}),
    )


def claim(tried: Sequence[Kind]) -> Claim:
    """Whether any kind fits."""
    refused = [kind for kind in tried if not kind.fits]
    return Claim(
        "any-descriptor",
        f"one epoll waited for {len(tried) - len(refused)} kinds of descriptor, and refused {len(refused)}: "
        + ", ".join(f"{kind.name} ({kind.error})" for kind in refused),
        verdict(not refused, partly=len(refused) < len(tried) / 2),
        "Whatever can tell that it is ready fits. A file on a disk cannot, so reading one blocks the loop for as long "
        "as the disk takes: that is for a thread, or for io_uring.",
    )
