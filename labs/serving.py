"""A lab's server as a child process: started from a function, watched from the outside, ended by its number.

    def serve(listener: socket.socket, *words: str) -> None: ...        # at the top of a module; runs until it is ended

    with serving(serve, "100") as server:
        client = socket.create_connection(server.address)
        before = server.usage()
        ...
        spent = server.usage() - before
    print(server.counted["reads"])

The socket listens before the child is there, and is handed down to it, so nobody has to wait for a port. A server may
count things in `counted`; the parent has the counts when the child has ended. It ends at SIGTERM, which raises `Ended`
in its main thread wherever that is, or when its parent is no more.
"""

import contextlib
import fcntl
import importlib
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from typing import IO, Any, NoReturn

from benchmarks.machine import SERVER_CPU, pinned
from benchmarks.processes import ROOT, ServerFailed
from labs.measuring import Usage, usage

Serve = Callable[..., object]

counted: Counter[str] = Counter()
"""What the server of this process has counted."""

BACKLOG = 4096
F_SETSIG = 10
"""As in <fcntl.h>; Python's module has no name for it."""
AGAIN = 2.0
"""Seconds after which an end that has not been heeded is repeated."""
STOPPING = 30.0
"""Seconds that a server has to end after SIGTERM: ten thousand threads that lose their clients at once keep it busy."""


class Ended(SystemExit):
    """SIGTERM has come. A SystemExit, since asyncio swallows any other exception of a callback."""


class Server:
    """A server's process. `counted` is filled when it has ended."""

    def __init__(self, serve: Serve, words: tuple[object, ...], cpu: int | None, listener: socket.socket) -> None:
        self.address: tuple[str, int] = listener.getsockname()
        self.counted: Counter[str] = Counter()
        self.last_words = ""
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed by stop
        name = f"{serve.__module__}:{serve.__qualname__}"
        command = [sys.executable, "-m", "labs.serving", str(listener.fileno()), name, *map(str, words)]
        with pinned(cpu) if cpu is not None else contextlib.nullcontext():
            self.process = subprocess.Popen(
                command,
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                pass_fds=[listener.fileno()],
                start_new_session=True,
            )
        assert self.process.stdout is not None
        if self.process.stdout.readline() != b"ready\n":
            self.stop()
            raise ServerFailed(f"{name} did not start: {self.last_words}")

    @property
    def pid(self) -> int:
        """Its process's number."""
        return self.process.pid

    def usage(self) -> Usage:
        """What it has spent so far and holds now."""
        return usage(self.pid)

    def stop(self) -> None:
        """End it, by its number, and take over what it has counted."""
        if self._errors.closed:
            return
        self.process.terminate()
        try:
            told, _ = self.process.communicate(timeout=STOPPING)
        except subprocess.TimeoutExpired:
            self.process.kill()
            told, _ = self.process.communicate()
        with contextlib.suppress(ValueError):
            self.counted.update(json.loads(told))
        self._errors.seek(0)
        self.last_words = " / ".join(self._errors.read().decode(errors="replace").splitlines()[-3:])
        self._errors.close()


@contextlib.contextmanager
def serving(serve: Serve, *words: object, cpu: int | None = SERVER_CPU, reuse_port: bool = False) -> Iterator[Server]:
    """`serve(listener, *words)` in a process of its own, on `cpu` (None: on any); the words reach it as texts.

    Raises ServerFailed with its last words when it does not start, and when it has not ended in order.
    """
    with socket.create_server(("127.0.0.1", 0), backlog=BACKLOG, reuse_port=reuse_port) as listener:
        server = Server(serve, words, cpu, listener)
    try:
        yield server
    finally:
        server.stop()
    if server.process.returncode:
        raise ServerFailed(f"{serve.__module__} ended with {server.process.returncode}: {server.last_words}")


def raise_descriptor_limit() -> int:
    """As many descriptors as this process may have; how many these are."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def _end(*_: object) -> NoReturn:
    """Ended, now, and again as long as it has not come to `main`: Python drops what is raised in a finaliser."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.setitimer(signal.ITIMER_REAL, AGAIN)
    raise Ended(0)


def _end_with_parent() -> None:
    """SIGTERM, too, when the other end of standard input is closed: without a thread that waits for it."""
    fcntl.fcntl(0, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(0, F_SETSIG, signal.SIGTERM)
    fcntl.fcntl(0, fcntl.F_SETFL, os.O_ASYNC | os.O_NONBLOCK)


def main(descriptor: str, name: str, *words: str) -> None:
    """The child: serve until the end, then tell what was counted."""
    module, _, function = name.partition(":")
    serve: Any = getattr(importlib.import_module(module), function)
    raise_descriptor_limit()
    signal.signal(signal.SIGALRM, _end)
    signal.signal(signal.SIGTERM, _end)
    _end_with_parent()
    print("ready", flush=True)
    with contextlib.suppress(Ended):
        serve(socket.socket(fileno=int(descriptor)), *words)
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    told = importlib.import_module("labs.serving").counted  # not this one: this module runs as __main__
    print(json.dumps(told), flush=True)
    os._exit(0)  # without waiting for threads that wait for their clients


if __name__ == "__main__":
    main(*sys.argv[1:])
