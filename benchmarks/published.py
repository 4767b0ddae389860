"""What was published: the ratios of a suite's last whole run, kept beside its page, for a later run to be held against.

Times differ from machine to machine and from hour to hour; a ratio of two servers in one run is what can be compared.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.report import Table

TOLERANCE = 0.15
"""The part by which a ratio may be higher before it counts as slower: so far two runs on a shared machine lie apart."""


@dataclass(frozen=True, slots=True)
class Change:
    """One ratio, published and found again: CPU a request of ours over another's."""

    name: str
    published: float
    found: float

    @property
    def part(self) -> float:
        """How much higher it is: 0.1 is a tenth slower, beside the same peer."""
        return self.found / self.published - 1

    @property
    def is_slower(self) -> bool:
        """Whether that is more than two runs differ by."""
        return self.part > TOLERANCE


def path_of(suite: str, directory: Path) -> Path:
    """Where a suite's ratios are kept."""
    return directory / f"{suite}.json"


def suites(directory: Path) -> list[str]:
    """Those whose ratios are kept."""
    return sorted(path.stem for path in directory.glob("*.json"))


def write(suite: str, directory: Path, ratios: Mapping[str, float]) -> Path:
    """Keep a run's ratios; the path written."""
    path = path_of(suite, directory)
    rounded = {name: round(ratio, 3) for name, ratio in ratios.items()}
    path.write_text(json.dumps(rounded, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def read(suite: str, directory: Path) -> dict[str, float]:
    """The ratios that were published. Raises LookupError if there are no such ratios."""
    path = path_of(suite, directory)
    try:
        found: dict[str, float] = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        reason = f"{suite} has no published ratios ({path}): run it whole first, without --check"
        raise LookupError(reason) from error
    return found


def changes(published: Mapping[str, float], found: Mapping[str, float]) -> list[Change]:
    """What both runs have measured, the most slowed first."""
    both = [Change(name, published[name], ratio) for name, ratio in found.items() if name in published]
    return sorted(both, key=lambda change: change.part, reverse=True)


def table(compared: list[Change]) -> Table:
    """The comparison, for people."""
    made = Table(
        "Against the published ratios",
        ("CPU a request, ours ÷ theirs", "published", "now", "change", ""),
        note=f"Slower is what is more than {TOLERANCE:.0%} higher than published.",
        left=frozenset({""}),
    )
    for change in compared:
        verdict = "slower" if change.is_slower else ""
        made.rows.append(
            (change.name, f"{change.published:.2f}", f"{change.found:.2f}", f"{change.part:+.0%}", verdict)
        )
    return made
