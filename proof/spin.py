"""Runs Spin: from a world to what Spin says of it. Needs `spin` and a C compiler (apt-get install spin gcc)."""

import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

from proof.promela import fair_processes, to_promela
from proof.world import World

MEMORY = 3000
"""Mebibytes that one run of Spin may take."""

DEPTH = 300_000


class SpinError(Exception):
    """Spin, or the compiler, could not be run; the message is what it said."""


class Verdict(NamedTuple):
    """One run of Spin: of `what` (`safety`, or a promise). `fault` is what it found, empty where all holds."""

    what: str
    states: int
    transitions: int
    seconds: float
    megabytes: float
    fault: str
    trail: str = ""


def is_there() -> bool:
    """Whether Spin and a C compiler are installed."""
    return all(shutil.which(program) for program in ("spin", "gcc"))


def check(world: World, tell: Callable[[str], object], *, liveness: bool = True, nice: int = 0) -> list[Verdict]:
    """Have Spin check the world's safety, and each of its promises under weak fairness. Raises SpinError."""
    with tempfile.TemporaryDirectory(prefix="proof-") as name:
        folder = Path(name)
        (folder / "model.pml").write_text(to_promela(world))
        _run(["spin", "-a", "model.pml"], folder)
        compiler = ["gcc", "-O0", "-w", f"-DMEMLIM={MEMORY}", "-DNOREDUCE", "-DVECTORSZ=2048"]
        tell(f"{world.name}: compiling for safety")
        _run([*compiler, "-DSAFETY", "-DNOCLAIM", "-o", "safe", "pan.c"], folder)
        verdicts = [_verdict("safety", ["./safe", f"-m{DEPTH}", "-w20"], folder, nice)]
        tell(_line(world, verdicts[-1]))
        if not liveness or not world.eventually or verdicts[0].fault:
            return verdicts
        tell(f"{world.name}: compiling for liveness")
        _run([*compiler, f"-DNFAIR={fair_processes(world) // 2 + 2}", "-o", "live", "pan.c"], folder)
        for number, promise in enumerate(world.eventually):
            command = ["./live", "-a", "-f", f"-m{DEPTH}", "-w20", "-N", f"p{number}"]
            verdicts.append(_verdict(promise.name, command, folder, nice))
            tell(_line(world, verdicts[-1]))
        return verdicts


def _line(world: World, verdict: Verdict) -> str:
    result = f"FAULT: {verdict.fault}" if verdict.fault else "holds"
    return f"{world.name}: {verdict.what}: {result} ({verdict.states} states, {verdict.seconds:.1f} s)"


def _run(command: Sequence[str], folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SpinError(f"{' '.join(command)}: {(done.stdout + done.stderr)[-2000:]}")
    return done.stdout


def _verdict(what: str, command: list[str], folder: Path, nice: int) -> Verdict:
    begun = perf_counter()
    done = subprocess.run(["nice", "-n", str(nice), *command], cwd=folder, capture_output=True, text=True, check=False)
    seconds = perf_counter() - begun
    text = done.stdout + done.stderr
    states, transitions = _number(r"(\d+) states, stored", text), _number(r"(\d+) transitions", text)
    if not re.search(r"\d+ states, stored", text):
        raise SpinError(f"{' '.join(command)}: {text[-2000:]}")
    fault = ""
    if not re.search(r"errors: 0", text):
        found = re.search(r"pan:1: (.*)", text)
        fault = found.group(1) if found else "an error"
    elif "max search depth too small" in text or "out of memory" in text or "memory exhausted" in text.lower():
        fault = "the search was not complete: " + ("depth" if "depth too small" in text else "memory")
    megabytes = re.search(r"([\d.]+)\s+total actual memory usage", text)
    trail = ""
    if fault and list(folder.glob("*.trail")):
        replay = subprocess.run(
            ["spin", "-t", "-p", "model.pml"], cwd=folder, capture_output=True, text=True, check=False, timeout=60
        )
        trail = replay.stdout
    return Verdict(what, states, transitions, seconds, float(megabytes.group(1)) if megabytes else 0.0, fault, trail)


def _number(pattern: str, text: str) -> int:
    found = re.search(pattern, text)
    return int(found.group(1)) if found else 0
