"""What a process has spent and holds, read from the outside: its CPU time, context switches, memory, threads.

CPU time comes from the process's own clock (clock_getcpuclockid(3)), in nanoseconds, where /proc counts ticks of 10 ms.
Context switches are summed over the threads that live; a thread that has ended takes its own along, so measure while
those that matter are there. Memory is as in `benchmarks.processes`.
"""

import contextlib
import os
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from benchmarks.machine import SERVER_CPU, pinned
from benchmarks.processes import memory
from benchmarks.summary import figure


@dataclass(frozen=True, slots=True)
class Usage:
    """Of one process: spent so far (`cpu` to `involuntary`; seconds and counts), and held now (bytes and threads).

    `queued` is how long its threads were ready to run, and others had the CPU.

    A voluntary switch is one that the thread asked for, by waiting; an involuntary one was forced on it by the
    scheduler. `own` is the memory that is its own and not a file's, `rss` all that is resident, `reserved` its address
    space. `usage - earlier` has what was spent, and grew, in between.
    """

    when: float
    cpu: float
    queued: float
    voluntary: int
    involuntary: int
    own: int
    rss: int
    reserved: int
    threads: int

    def __sub__(self, earlier: Self) -> "Usage":
        return Usage(*(getattr(self, name) - getattr(earlier, name) for name in self.__dataclass_fields__))

    @property
    def switches(self) -> int:
        """Context switches of both kinds."""
        return self.voluntary + self.involuntary

    @property
    def load(self) -> float:
        """Of a difference: the share of one CPU, 1.0 for all of it."""
        return self.cpu / self.when if self.when else 0.0

    @property
    def wanted(self) -> float:
        """Of a difference: the share of one CPU that it would have taken, had it had one to itself."""
        return (self.cpu + self.queued) / self.when if self.when else 0.0


def usage(pid: int | None = None) -> Usage:
    """What process `pid` has spent and holds; without it, what this process does."""
    pid = os.getpid() if pid is None else pid
    status = _status(Path(f"/proc/{pid}/status"))
    threads = list(Path(f"/proc/{pid}/task").iterdir())
    tasks = [_status(thread / "status") for thread in threads]
    held = memory(pid)
    return Usage(
        time.monotonic(),
        cpu_seconds(pid),
        sum(_queued(thread / "schedstat") for thread in threads),
        sum(task.get("voluntary_ctxt_switches", 0) for task in tasks),
        sum(task.get("nonvoluntary_ctxt_switches", 0) for task in tasks),
        held.own,
        held.rss,
        status["VmSize"] * 1024,
        status["Threads"],
    )


def cpu_seconds(pid: int) -> float:
    """CPU seconds that process `pid` has spent, all its threads together, those that have ended as well."""
    return time.clock_gettime((~pid << 3) | 2)  # the clock that clock_getcpuclockid(3) names


def _status(path: Path) -> dict[str, int]:
    """The fields of a status file that are numbers; none of a task that has just ended."""
    found = {}
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for line in path.read_text().splitlines():
            name, _, value = line.partition(":")
            number = value.split()[:1]
            if number and number[0].isdigit():
                found[name] = int(number[0])
    return found


def _queued(path: Path) -> float:
    """Seconds that a thread has stood in a run queue; 0 of one that has just ended."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return int(path.read_text().split()[1]) / 1e9
    return 0.0


def switch_seconds(turns: int) -> float:
    """CPU time that it costs to go from one thread to another: a byte goes to and fro between two, through pipes, on
    one CPU; less what the same reads and writes cost within one thread, where each finds its byte and nobody waits."""
    there, back = os.pipe(), os.pipe()

    def return_all() -> None:
        for _ in range(turns):
            os.write(back[1], os.read(there[0], 1))

    with pinned(SERVER_CPU):
        other = threading.Thread(target=return_all)
        begun = time.process_time()
        other.start()
        for _ in range(turns):
            os.write(there[1], b"x")
            os.read(back[0], 1)
        other.join()
        between_two = time.process_time() - begun
        begun = time.process_time()
        for _ in range(turns):
            os.write(there[1], b"x")
            os.write(back[1], os.read(there[0], 1))
            os.read(back[0], 1)
        within_one = time.process_time() - begun
    for descriptor in (*there, *back):
        os.close(descriptor)
    return max(between_two - within_one, 0.0) / (2 * turns)


def amount(count: float) -> str:
    """A number of bytes in the unit that suits it: `20.5 KiB`, `97.9 MiB`, `39.2 GiB`."""
    unit, name = next(
        ((unit, name) for unit, name in ((1024**3, "GiB"), (1024**2, "MiB")) if count >= unit), (1024, "KiB")
    )
    return f"{figure(count / unit)} {name}"


def percentile(values: Sequence[float], part: float) -> float:
    """The value that `part` (0.5, 0.99) of the values do not exceed. Raises ValueError when there is none."""
    if not values:
        raise ValueError("nothing was measured")
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]
