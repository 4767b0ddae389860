"""The machine that a figure was measured on: what is written beside each result, and where servers and load run.

The server has one CPU to itself and the load another; with a single CPU they share it, and the particulars say so.
"""

import contextlib
import datetime
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path

CPUS = sorted(os.sched_getaffinity(0))
SERVER_CPU = CPUS[0]
LOAD_CPU = CPUS[-1]
WORKERS_CPUS = tuple(CPUS[:-1]) if len(CPUS) > 2 else tuple(CPUS)
"""Where several workers run: not beside the load, if there are two other CPUs."""


@contextlib.contextmanager
def pinned(*cpus: int) -> Iterator[None]:
    """Whatever is started inside runs on these CPUs, and its children too: affinity is inherited."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cpus)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def particulars(versions: Mapping[str, str], *, quick: bool) -> dict[str, str]:
    """What is written under a result: machine, system, versions, date, and how the run was made."""
    found = {
        "Date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "CPU": f"{cpu_model()}, {len(CPUS)} to be used: servers on {SERVER_CPU}, load on {LOAD_CPU}",
        "Memory": f"{_memory_total() / 1024 / 1024:.0f} GiB",
        "System": f"{platform.system()} {platform.release()}",
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
        "Revision": revision(),
    }
    if SERVER_CPU == LOAD_CPU:
        found["Beware"] = "there is one CPU only: servers and load disturbed each other"
    found |= {name: version for name, version in versions.items() if version}
    found["Run"] = "python -m benchmarks " + " ".join(sys.argv[1:])
    if quick:
        found["Beware, too"] = "a quick run: one short round, good to see that it works, not to be quoted"
    return found


def cpu_model() -> str:
    """The CPU's name as the kernel tells it."""
    with contextlib.suppress(OSError):
        named = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
        if named:
            return named[1].strip()
    return platform.machine()


def _memory_total() -> int:
    """KiB of memory."""
    return int(re.findall(r"^MemTotal:\s+(\d+)", Path("/proc/meminfo").read_text(), re.MULTILINE)[0])


def revision() -> str:
    """The checkout's commit, and whether files differ from it."""
    root = Path(__file__).parent.parent
    git = ["git", "-C", str(root)]
    try:
        commit = subprocess.run([*git, "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, check=True)
        changed = subprocess.run([*git, "status", "--porcelain", "-uno"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "not a git checkout"
    return commit.stdout.strip() + (", with changes" if changed.stdout.strip() else "")


def tool(name: str) -> str | None:
    """The path of an executable, also where Debian puts a daemon that is not on a user's PATH."""
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin:/sbin")


def library_versions(*names: str) -> dict[str, str]:
    """The versions of what this Python has installed; what it lacks is left out."""
    found = {}
    for name in names:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


def tool_versions() -> dict[str, str]:
    """The versions of the executables that take part, as they tell them themselves."""
    found = {}
    for name, option in (
        ("nginx", "-v"),
        ("haproxy", "-v"),
        ("node", "--version"),
        ("wrk", "-v"),
        ("strace", "--version"),
    ):
        path = tool(name)
        if path is not None:
            told = subprocess.run([path, option], capture_output=True, text=True, check=False)
            number = re.search(r"\d+(\.\d+)+", told.stdout + told.stderr)
            found[name] = number[0] if number else "of unknown version"
    return found
