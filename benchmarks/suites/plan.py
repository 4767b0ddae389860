"""What a suite is told: how long, how often, on which servers; and how it says what it is doing."""

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from benchmarks.environment import Peers

T = TypeVar("T")


class Progress:
    """A line for each step, on the error stream: the answer alone goes to the output."""

    def __init__(self, steps: int = 0) -> None:
        self.steps = steps
        self.done = 0
        self.begun = time.monotonic()

    def expect(self, steps: int) -> None:
        """Announce so many steps, from now on."""
        self.steps, self.done = steps, 0

    def step(self, text: str) -> None:
        """One step is finished."""
        self.done += 1
        count = f"{self.done:>{len(str(self.steps))}}/{self.steps}" if self.steps else f"{self.done}"
        self.say(f"[{count}] {text}")

    def say(self, text: str) -> None:
        """Something to know."""
        print(f"{time.monotonic() - self.begun:6.1f} s  {text}", file=sys.stderr, flush=True)


@dataclass(slots=True)
class Plan:
    """How a suite is to be run. `data` holds what the applications serve, `scratch` what servers write."""

    data: Path
    scratch: Path
    peers: Peers
    quick: bool = False
    rounds: int | None = None
    seconds: float | None = None
    only: tuple[str, ...] = ()
    workloads: tuple[str, ...] = ()
    progress: Progress = field(default_factory=Progress)

    def pick(self, full: T, quick: T) -> T:
        """One value for a full run, another for a quick one."""
        return quick if self.quick else full

    def rounds_or(self, full: int, quick: int = 1) -> int:
        """The rounds asked for, else the suite's own."""
        return self.rounds or self.pick(full, quick)

    def seconds_or(self, full: float, quick: float) -> float:
        """The seconds asked for, for each measurement, else the suite's own."""
        return self.seconds or self.pick(full, quick)

    def wants(self, *names: str) -> bool:
        """Whether `--only` lets one of these through."""
        return not self.only or any(word.lower() in name.lower() for word in self.only for name in names)


def in_turn(items: Sequence[T], turn: int) -> list[T]:
    """The items in the order of this round: each second round backwards, so that a drift does not favour the first."""
    return list(items) if turn % 2 == 0 else list(reversed(items))
