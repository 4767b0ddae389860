"""Loads that wrk does not know: a module of ours as a process on the load's CPU, and the server's CPU time meanwhile.

The module gets ready, writes `ready`, waits for a line, does its work for so many seconds, and writes how much it was.
"""

import subprocess
import sys
import time
from dataclasses import dataclass

from benchmarks.machine import LOAD_CPU, pinned
from benchmarks.processes import ROOT, Server, ServerFailed

PATIENCE = 20.0
"""Seconds for an answer; twice as many to get ready and to end."""


@dataclass(frozen=True, slots=True)
class Done:
    """How much was done, in how many seconds, and the server's CPU seconds meanwhile."""

    count: int
    seconds: float
    cpu: float

    @property
    def cost(self) -> float:
        """Microseconds of CPU for each."""
        return self.cpu / self.count * 1e6

    @property
    def rate(self) -> float:
        """How many a second."""
        return self.count / self.seconds


def run(server: Server, module: str, seconds: float, *arguments: object) -> Done:
    """Run `module` against `server`. Raises ServerFailed with the module's last words where nothing was done."""
    command = [sys.executable, "-m", module, *map(str, (server.port, seconds, *arguments))]
    with pinned(LOAD_CPU):
        client = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
    assert client.stdout is not None
    try:
        is_ready = client.stdout.readline() == "ready\n"
        before, begun = server.cpu_seconds(), time.monotonic()
        answer, said = client.communicate("go\n" if is_ready else None, timeout=seconds + 2 * PATIENCE)
    except subprocess.TimeoutExpired as error:
        raise ServerFailed(f"{module}: not done in time") from error
    finally:
        client.kill()
        client.communicate()
    took, cpu = time.monotonic() - begun, server.cpu_seconds() - before
    server.check_alive()
    if not answer.strip().isdigit() or not int(answer):
        raise ServerFailed(f"{module}: {said.strip().splitlines()[-1] if said.strip() else 'nothing was answered'}")
    return Done(int(answer), took, cpu)
