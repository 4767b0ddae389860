"""What the process uses, as the kernel counts it, by the names that Prometheus' client libraries give it.

Dashboards and alerts know these names: https://prometheus.io/docs/instrumenting/writing_clientlibs/#process-metrics.
What cannot be read, on another system or without a descriptor, is left out.
"""

import os
import resource
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from clerestory.server.xray.serve.runtime import born


class Figure(NamedTuple):
    """One metric without labels."""

    name: str
    kind: str
    text: str
    value: float


def figures(open_descriptors: int | None, descriptors: int) -> Iterator[Figure]:
    """CPU, memory, start and descriptors of this process; the last of these are given, since they are known."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    cpu = used.ru_utime + used.ru_stime
    yield Figure("process_cpu_seconds_total", "counter", "User and system CPU time spent, in seconds.", cpu)
    memory = _memory()
    if memory is not None:
        virtual, resident = memory
        yield Figure("process_virtual_memory_bytes", "gauge", "Virtual memory size in bytes.", virtual)
        yield Figure("process_resident_memory_bytes", "gauge", "Resident memory size in bytes.", resident)
    begun = _started()
    if begun is not None:
        text = "Start time of the process since the Unix epoch, in seconds."
        yield Figure("process_start_time_seconds", "gauge", text, begun)
    if open_descriptors is not None:
        yield Figure("process_open_fds", "gauge", "Number of open file descriptors.", open_descriptors)
    yield Figure("process_max_fds", "gauge", "Maximum number of open file descriptors.", descriptors)


def _memory() -> tuple[int, int] | None:
    """Bytes of virtual and of resident memory: proc_pid_statm(5)."""
    try:
        pages = Path("/proc/self/statm").read_text(encoding="ascii").split()
        size = os.sysconf("SC_PAGE_SIZE")
        return int(pages[0]) * size, int(pages[1]) * size
    except (OSError, ValueError, IndexError):
        return None


def _started() -> float | None:
    """When the process began: the kernel counts it in ticks since the machine's own start, proc_stat(5) `btime`."""
    ticks = born(os.getpid())
    try:
        lines = Path("/proc/stat").read_text(encoding="ascii").splitlines()
        booted = next(int(line.split()[1]) for line in lines if line.startswith("btime "))
        return booted + int(ticks) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, StopIteration):
        return None
