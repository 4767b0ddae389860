"""Server processes: started on their own CPU, accounted as a whole tree, ended by their own process group.

CPU time is utime + stime (and that of children already waited for) of every process of the tree, from /proc: what a
server spends in workers, threads and the kernel is all of it the server's. Memory is RSS, and the PSS of what is not
from a file: pages shared within the tree count once, and libraries, which other processes share, not at all.
"""

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from benchmarks.machine import SERVER_CPU, pinned

TICK = os.sysconf("SC_CLK_TCK")
ROOT = Path(__file__).parent.parent
STARTING = 15.0
"""Seconds that a server has to listen."""
STOPPING = 3.0
"""Seconds that a server has to end after SIGTERM, before its process group is killed."""


class ServerFailed(Exception):
    """A server did not start, ended by itself, or answered wrongly; the message says what it wrote last."""


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes held by a process tree: resident in all, and anonymous in proportion to who shares them."""

    rss: int
    own: int


def free_port() -> int:
    """A port of the loopback that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def tree(root: int) -> list[int]:
    """The process `root` and all its descendants that still run."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                parents.setdefault(int(_stat(int(entry.name))[1]), []).append(int(entry.name))
    found = [root]
    for pid in found:  # grows while it is walked
        found += parents.get(pid, [])
    return found


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from `state` on; the name before may itself hold spaces and brackets."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def cpu_seconds(root: int) -> float:
    """CPU seconds spent so far by the tree under `root`."""
    ticks = 0
    for pid in tree(root):
        with contextlib.suppress(OSError):
            ticks += sum(map(int, _stat(pid)[11:15]))
    return ticks / TICK


def memory(root: int) -> Memory:
    """Memory held now by the tree under `root`."""
    found = {"Rss": 0, "Pss_Anon": 0}
    for pid in tree(root):
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                name, _, rest = line.partition(":")
                if name in found:
                    found[name] += int(rest.split()[0]) * 1024
    return Memory(found["Rss"], found["Pss_Anon"])


class Server:
    """A server's process, from start to stop; a context manager. What it writes goes to `log`."""

    scheme = "http"

    def __init__(
        self,
        command: Sequence[str],
        port: int,
        log: Path,
        environment: Mapping[str, str] | None = None,
        *cpus: int,
    ) -> None:
        self.port = port
        self.log = log
        with pinned(*(cpus or (SERVER_CPU,))), log.open("wb") as output:
            self.process = subprocess.Popen(
                command,
                cwd=ROOT,
                env={**os.environ, **(environment or {})},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def __enter__(self) -> Self:
        try:
            self.wait_until_listening()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def wait_until_listening(self) -> None:
        """Return when the port takes a connection. Raises ServerFailed when it does not within STARTING seconds."""
        until = time.monotonic() + STARTING
        while time.monotonic() < until:
            self.check_alive()
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return
            time.sleep(0.02)
        raise ServerFailed(f"does not listen after {STARTING:.0f} s{self.last_words()}")

    def check_alive(self) -> None:
        """Raise ServerFailed when the process has ended by itself."""
        if self.process.poll() is not None:
            raise ServerFailed(f"ended by itself with status {self.process.returncode}{self.last_words()}")

    def last_words(self) -> str:
        """The last lines that the server wrote."""
        with self.log.open("rb") as log:
            log.seek(max(0, self.log.stat().st_size - 2000))
            lines = log.read().decode(errors="replace").strip().splitlines()
        return ": " + " / ".join(lines[-3:]) if lines else ""

    def cpu_seconds(self) -> float:
        """CPU seconds spent so far by the whole tree."""
        return cpu_seconds(self.process.pid)

    def memory(self) -> Memory:
        """Memory held now by the whole tree."""
        return memory(self.process.pid)

    def stop(self) -> None:
        """End it: SIGTERM, and after STOPPING seconds SIGKILL to what is left of its own process group."""
        group = self.process.pid
        self.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(STOPPING)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)
        self.process.wait()
