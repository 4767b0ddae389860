"""Builds of the server: the sources as they are, compiled (setup.py), or with parts of the recording left out.

    python -m benchmarks.builds                 # makes the compiled build, and prints where it is

A build is a copy of the packages in `benchmarks/.builds`, or what the compiled wheel holds, named by what it was made
of, so that it is made once and never out of date. A process is turned to it by its environment: the copy comes before
the checkout.

The recording and the profile of waiting have no switch in the server: one whose history is off cannot be asked what
happened. For the one measurement of their price their lines are left out of the copy; a line that is no longer there is
an error.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from zipfile import ZipFile

from benchmarks import machine

ROOT = Path(__file__).parent.parent
STORE = Path(__file__).parent / ".builds"
PACKAGES = ("clerestory", "statemachines", "handlers", "server", "diagrams", "shim")
FILES = ("pyproject.toml", "setup.py")
BESIDE = ("README.md", "LICENSE")
"""What a build wants to be there, and nothing depends on."""

RECORDING: dict[str, tuple[str, ...]] = {
    "clock": ("now = clock()", "stay = now - machine.since", "machine.since = now"),
    "dwell": ("dwell = node", "bucket =", "dwell[bucket]", "spent = machine", "spent[node"),
    "history": ("ring = machine", "end = machine", "ring[end]", "ring[end + 1]", "end += 2", "machine.ring_end ="),
    "count": ("edge.count += 1",),
}
"""What recording consists of, and the lines of `Engine.walk` that do it."""

PROFILE: dict[tuple[Path, str], tuple[str, ...]] = {
    (Path("server/xray/serve/thread.py"), "def __init__("): ("main.on_exchange_ended =",),
    (Path("server/xray/serve/thread.py"), "def start("): ("self.sampler.begin()",),
    (Path("server/connection/waiting.py"), "def noted("): (
        *("try:", "subject, (queue, queued) =", "except Exception:"),
        *("subject, queue, queued =", "waits.note("),
    ),
}
"""What the part `profile` consists of, by file and function: it is told of no exchange, samples nothing, and notes
nothing of operations."""

WALK = Path("statemachines/engine.py"), "def walk("
READER = Path("server/connection/connection.py"), "def ended("
"""At its end a connection reads its history: without one it has nothing to tell."""


class BuildFailed(Exception):
    """A build could not be made; the message says what the compiler said."""


def lines_without(lines: list[str], function: str, unwanted: tuple[str, ...]) -> list[str]:
    """A source's `lines` without those of `function` that begin with one of `unwanted`. Raises LookupError when the
    function has no such line any more."""
    begin = next(number for number, line in enumerate(lines) if line.strip().startswith(function))
    end = next(
        (number for number in range(begin + 1, len(lines)) if lines[number].strip().startswith("def ")), len(lines)
    )
    body = lines[begin:end]
    for start in unwanted:
        if not any(line.strip().startswith(start) for line in body):
            raise LookupError(f"{function} has no line `{start}` any more: benchmarks/builds.py names it")
    return lines[:begin] + [line for line in body if not line.strip().startswith(unwanted)] + lines[end:]


@dataclass(frozen=True, slots=True)
class Build:
    """A build: whether it is compiled, and which parts it leaves out: `profile`, and keys of RECORDING."""

    compiled: bool = False
    left_out: tuple[str, ...] = ()

    def missing(self) -> str:
        """What to install before it can be made; empty when it is all there."""
        if not self.compiled:
            return ""
        lacking = [name for name in ("mypy",) if not machine.library_versions(name)]
        lacking += [name for name in ("gcc",) if machine.tool(name) is None]
        return f"{' and '.join(lacking)}, to compile it" if lacking else ""

    def environment(self) -> Mapping[str, str]:
        """The environment in which `clerestory` is this build. Raises BuildFailed."""
        if self == PLAIN:
            return {}
        # PYTHONSAFEPATH: else the directory that a process is started in would come first.
        return {"PYTHONSAFEPATH": "1", "PYTHONPATH": f"{self.make()}{os.pathsep}{ROOT}"}

    def make(self) -> Path:
        """Make it, unless it is there; where it is. Raises BuildFailed."""
        place = STORE / self._name()
        if not place.exists():
            STORE.mkdir(exist_ok=True)
            with tempfile.TemporaryDirectory(dir=STORE) as scratch:
                copy = Path(scratch) / "copy"
                self._copy_to(copy)
                if "profile" in self.left_out:
                    _leave_out_profile(copy)
                if self.compiled:
                    _compile(copy)
                try:
                    copy.rename(place)
                except OSError:
                    if not place.exists():  # else another process has made it meanwhile
                        raise
        return place

    def _name(self) -> str:
        digest = hashlib.sha256(repr((self, sys.version, sysconfig.get_platform())).encode())
        for path in sorted(path for name in PACKAGES for path in (ROOT / name).rglob("*.py")):
            digest.update(path.read_bytes())
        for name in FILES:
            digest.update((ROOT / name).read_bytes())
        return digest.hexdigest()[:16]

    def _copy_to(self, copy: Path) -> None:
        copy.mkdir()
        for name in PACKAGES:
            shutil.copytree(
                ROOT / name, copy / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__", "*.so")
            )
        for name in (*FILES, *BESIDE):
            shutil.copy(ROOT / name, copy / name)
        unwanted = tuple(line for part in self.left_out if part != "profile" for line in RECORDING[part])
        if not unwanted:
            return
        path, function = WALK
        _rewrite(copy / path, function, unwanted)
        path, function = READER
        _rewrite(copy / path, function, ("tell_end(",))


PLAIN = Build()
"""The checkout itself."""


def _leave_out_profile(copy: Path) -> None:
    for (path, function), unwanted in PROFILE.items():
        _rewrite(copy / path, function, unwanted)


def _rewrite(path: Path, function: str, unwanted: tuple[str, ...]) -> None:
    path.write_text("\n".join(lines_without(path.read_text().splitlines(), function, unwanted)) + "\n")


def _compile(copy: Path) -> None:
    """Build the wheel of `copy`, and put what it holds in the place of the sources."""
    command = [sys.executable, "-c", "import backend; backend.build_wheel('.')"]
    environment = {**os.environ, "CLERESTORY_COMPILE": "1", "PYTHONPATH": str(copy / "shim")}
    found = subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True, check=False)
    if found.returncode:
        said = [line for line in (found.stdout + found.stderr).splitlines() if "error" in line.lower()]
        raise BuildFailed(
            f"the compiled wheel cannot be built: {' / '.join(said[:5]) or 'the compiler gives no reason'}"
        )
    (wheel,) = copy.glob("*.whl")
    with ZipFile(wheel) as archive:
        archive.extractall(copy.with_name("wheel"))
    shutil.rmtree(copy)
    copy.with_name("wheel").rename(copy)


if __name__ == "__main__":
    print(Build(compiled=True).make())
