"""A real server in a process of its own: started as a user starts it, found by what its log announces.

What the kernel says of the process (descriptors, memory, CPU time) is read from /proc. At the end `finish` asserts
what holds after every test, whatever it did: the server is alive until it is asked to end, it ends with status 0, no
machine has crashed, and nothing but JSON lines came out of it.
"""

import json
import os
import signal
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.support.client import Address, SecureAddress
from tests.support.held import SITE
from tests.support.waiting import PATIENCE, eventually, outlast

ROOT = Path(__file__).resolve().parent.parent.parent
APPLICATION = "tests.support.applications:application"

Event = dict[str, Any]
TICK = os.sysconf("SC_CLK_TCK")
TOKEN = "the-token-of-the-tests"
"""What the x-ray of every such server takes."""

DISASTERS = ("machine_crashed", "server_failed")
"""Events that no input and no handler may bring about."""


HUMBLY = (
    sys.executable,
    "-c",
    "import ctypes, os, sys\n"
    "if ctypes.CDLL(None, use_errno=True).prctl(24, 1, 0, 0, 0): sys.exit('the capability cannot be dropped')\n"
    "os.execvp(sys.argv[1], sys.argv[1:])",
)
"""Starts a command of the superuser's without CAP_DAC_OVERRIDE (prctl(2), PR_CAPBSET_DROP): he may then write to what
is his only where its mode says so."""


def _surroundings() -> dict[str, str]:
    """What every server is started with: the x-ray's token, and what holds its walks (tests.support.held)."""
    path = os.pathsep.join(filter(None, (str(SITE), os.environ.get("PYTHONPATH"))))
    return {"CLERESTORY_XRAY_TOKEN": TOKEN, "PYTHONPATH": path}


class ServerProcess:
    """`clerestory TARGET --port 0 ...`, and what it says and uses.

    `options` go on the command line; an empty `target` is the built-in site. `descriptors` is the limit on open files
    that it is started with. With `deaf=True` nobody reads its log but for the line that says where it listens. With
    `humble=True` permissions hold for it even when the superuser runs the tests. With `trusting` clients of its
    `address` speak TLS. It must listen within `patience` seconds.
    """

    def __init__(
        self,
        *options: str,
        target: str = APPLICATION,
        descriptors: int | None = None,
        deaf: bool = False,
        humble: bool = False,
        trusting: ssl.SSLContext | None = None,
        environment: dict[str, str] | None = None,
        patience: float = PATIENCE,
    ) -> None:
        limit = ["sh", "-c", 'ulimit -n "$0" && exec "$@"', str(descriptors)] if descriptors else []
        what = [target] if target else []
        command = [sys.executable, "-m", "clerestory", *what, "--port", "0", "--log-format", "json", *options]
        self.process = subprocess.Popen(
            [*(HUMBLY if humble and os.geteuid() == 0 else ()), *limit, *command],
            cwd=ROOT,
            env=os.environ | _surroundings() | (environment or {}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        self.pid = self.process.pid
        self.log: list[Event] = []
        self.noise: list[str] = []
        """Lines that were no JSON: a traceback of a process that died."""
        self._changed = threading.Condition()
        self._deaf = deaf
        self._reader = self._listen()
        try:
            self.url: str = self.wait_for("listening", patience=patience)["url"]
        except BaseException:
            self.kill()
            raise
        host, port = self.url.partition("://")[2].removesuffix("/").rsplit(":", 1)
        self.address: Address = (host, int(port))
        if trusting is not None:
            self.address = secure = SecureAddress(self.address)
            secure.context = trusting
        self.is_secure = trusting is not None
        self.base = self.descriptors()
        """How many descriptors it has open without a connection."""

    # --- what it says

    def _listen(self) -> threading.Thread:
        reader = threading.Thread(target=self._read_log, daemon=True)
        reader.start()
        return reader

    def listen_again(self) -> None:
        """Read the log of a server that was started deaf."""
        self._deaf = False
        self._reader.join()
        self._reader = self._listen()

    def _read_log(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            if line == b"\n":  # it ends the line of one that was killed in its turn (server.logging.turns)
                continue
            with self._changed:
                try:
                    self.log.append(json.loads(line))
                except ValueError:
                    self.noise.append(line.decode("utf-8", "replace"))
                self._changed.notify_all()
            if self._deaf and self.events("listening"):
                return
        with self._changed:
            self._changed.notify_all()

    def events(self, event: str, **fields: object) -> list[Event]:
        """The events of that name so far whose fields have these values."""
        return [
            line
            for line in list(self.log)
            if line.get("event") == event and all(line.get(key) == value for key, value in fields.items())
        ]

    def wait_for(self, event: str, count: int = 1, patience: float = PATIENCE, **fields: Any) -> Event:
        """The first such event, once there are `count` of them."""
        limit = time.monotonic() + patience
        with self._changed:
            while len(found := self.events(event, **fields)) < count:
                alive = self._reader.is_alive()
                if not alive or not self._changed.wait(limit - time.monotonic()):
                    if any("cannot run inside asyncio" in line for line in self.noise):
                        pytest.skip("hosted applications run on epoll alone, and another poller was asked for")
                    end = f"{self.log[-5:]} {self.noise}"
                    raise AssertionError(f"{len(found)} of {count} {event} {fields} in the log; it ends with {end}")
        return found[0]

    def request_event(self, target: str, **fields: Any) -> Event:
        """The one `request` event of an exchange with that target."""
        found = self.wait_for("request", target=target, **fields)
        assert len(self.events("request", target=target, **fields)) == 1
        return found

    # --- what it uses

    def descriptors(self) -> int:
        """How many descriptors it has open."""
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def cpu(self) -> float:
        """Seconds of CPU time it has used, all its threads."""
        text = Path(f"/proc/{self.pid}/stat").read_text()
        fields = text.rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICK

    def loop_cpu(self) -> float:
        """Seconds that its loop's thread has run, to the nanosecond: how long it was not let run does not count."""
        return int(Path(f"/proc/{self.pid}/schedstat").read_text().split()[0]) / 1e9

    def load(self, seconds: float = 0.5) -> float:
        """Which share of a processor it uses in so many seconds from now on."""
        before, begun = self.cpu(), time.monotonic()
        outlast(seconds)
        return (self.cpu() - before) / (time.monotonic() - begun)

    def memory(self) -> int:
        """Bytes of memory that are its own: resident and not shared with a file."""
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon:"))

    def peak_memory(self) -> int:
        """The most bytes that were ever resident."""
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))

    def settle(self, connections: int = 0) -> None:
        """Wait until it has exactly so many descriptors open as that many connections need."""
        descriptors = self.base + connections
        eventually(lambda: self.descriptors() == descriptors, what=f"{descriptors} descriptors")

    # --- how it ends

    @property
    def running(self) -> bool:
        return self.process.poll() is None

    def signal(self, number: int = signal.SIGTERM) -> None:
        """Send a signal to this process, and to no other."""
        self.process.send_signal(number)

    def wait(self, patience: float = PATIENCE) -> int:
        """Its exit status, once it has ended and all its log was read."""
        status = self.process.wait(patience)
        if not self._deaf:
            self._reader.join(patience)
        assert self.process.stderr is not None
        self.process.stderr.close()
        return status

    def kill(self) -> None:
        """End it at once, without asking anything."""
        self.process.kill()
        self.wait()

    def finish(self) -> None:
        """End it the way an operator in a hurry does, and assert what always holds."""
        if self.process.returncode is None:
            assert self.running, f"it ended by itself, with status {self.process.returncode}: {self.noise}"
            self.signal()
            try:
                status = self.wait(0.5)
            except subprocess.TimeoutExpired:
                # Not before the first was taken: a second one ends a loop that has not come round, with status 1.
                with suppress(AssertionError):  # a log of errors only, or one that is not read, does not tell
                    self.wait_for("draining", patience=5.0)
                self.signal()
                try:
                    status = self.wait()
                except subprocess.TimeoutExpired:
                    self.kill()
                    raise
            assert status == 0, (status, self.noise)
        disasters = [line for line in self.log if line["event"] in DISASTERS]
        assert not self.noise, self.noise
        assert not disasters, disasters


@contextmanager
def serving(*options: str, **how: Any) -> Iterator[ServerProcess]:
    """A `ServerProcess` that must have kept the common laws when the block ends."""
    server = ServerProcess(*options, **how)
    try:
        yield server
        server.finish()
    finally:
        if server.running:
            server.kill()
