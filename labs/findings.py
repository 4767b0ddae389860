"""What a lab is given and what it hands back: the whole contract between the labs and whoever runs them.

A lab is a module with a docstring that tells its story and a function

    def run(stage: Stage) -> Findings

It tells what it does through `stage.say`, keeps its loads small when `stage.quick`, and hands back what it found.
Every figure in its findings comes from that run: texts are made of measured values, and a verdict is an expression over
them, so that a machine on which a claim does not hold makes a report that says so.
"""

import enum
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from benchmarks.report import Table
from labs.claims import CLAIMS

Size = TypeVar("Size")


class Verdict(enum.StrEnum):
    """Whether what was measured bears the claim out."""

    HOLDS = "holds"
    PARTLY = "holds in part"
    FAILS = "does not hold"


@dataclass(frozen=True, slots=True)
class Claim:
    """A claim of the lecture (its key in `labs.claims.CLAIMS`), what was measured, whether it holds, and why."""

    key: str
    measured: str
    verdict: Verdict
    why: str

    def __post_init__(self) -> None:
        if self.key not in CLAIMS:
            raise ValueError(f"the lecture has no claim {self.key}")


def verdict(holds: bool, partly: bool = False) -> Verdict:
    """The verdict on a measured condition; `partly` is what is left of it when it does not hold as it stands."""
    return Verdict.HOLDS if holds else Verdict.PARTLY if partly else Verdict.FAILS


@dataclass(frozen=True, slots=True)
class Findings:
    """What one run of a lab found.

    `shows` is the one sentence that a reader is to take away, with its figures. `plots` maps a file's name without its
    ending (it begins with the lab's name) to its SVG, see `labs.plotting`. `figures` are the bare numbers by name, that
    tests compare with each other and the report puts beside other labs' numbers.
    """

    shows: str
    tables: Sequence[Table] = ()
    plots: Mapping[str, str] = field(default_factory=dict)
    claims: Sequence[Claim] = ()
    figures: Mapping[str, float] = field(default_factory=dict)
    notes: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Stage:
    """Where a lab runs: who hears what it says, and how much of it is wanted.

    `quick` asks for loads that are done in two or three seconds: enough that the finding can be seen, not to be quoted.
    `step` asks a lab that can be walked through to stop at every move, until `key` returns: it shows its words and
    waits for a key of the person at the terminal.
    """

    say: Callable[[str], None]
    quick: bool = False
    step: bool = False
    key: Callable[[str], str] = input

    def pick(self, whole: Size, quick: Size) -> Size:
        """The one of two sizes that is wanted."""
        return quick if self.quick else whole
