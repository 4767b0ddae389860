"""The workers of a server, as the kernel sees them."""

import os
from pathlib import Path

from tests.support.server import ServerProcess


def pids(server: ServerProcess) -> set[int]:
    """The children of `server` that run."""
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[1]) == server.pid and fields[0] != "Z":
                found.add(int(entry.name))
    return found


def runs(pid: int) -> bool:
    """Whether there is such a process, and it is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def descriptors(pid: int) -> int:
    """How many descriptors it has open."""
    return len(os.listdir(f"/proc/{pid}/fd"))
