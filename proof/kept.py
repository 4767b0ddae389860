"""What was found before, kept in a folder: a report that was interrupted goes on where it was, and what has not changed
is not explored again.

A result is kept under a digest of its world's model, which holds the tables and all that the world says, and of the
checkers' own code; those of mutants under a digest of all worlds. So nothing is found that is of another version.
"""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import proof
from proof.explorer import Outcome
from proof.promela import to_promela
from proof.report import Result
from proof.spin import Verdict
from proof.world import World

CHECKERS = ("explorer", "graph", "language", "promela", "spin", "world")


def digest(worlds: Sequence[World], *also: object) -> str:
    """Of what is explored, and by what."""
    found = hashlib.sha256(repr(also).encode())
    for world in worlds:
        found.update(to_promela(world).encode())
    for name in CHECKERS:
        found.update((Path(proof.__file__).parent / f"{name}.py").read_bytes())
    return found.hexdigest()[:16]


class Kept:
    """The results in `folder`, which is made."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder

    def get(self, world: World, *also: object) -> Result | None:
        """What was found of `world`."""
        path = self._path(world, also)
        if not path.exists():
            return None
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        states, turns, seconds = found["outcome"]
        outcome = Outcome(states, turns, seconds, None, set(), found["whole"])
        return Result(world, outcome, [Verdict(*one) for one in found["verdicts"]])

    def put(self, result: Result, *also: object) -> None:
        """Keep it; one with a fault is looked for again."""
        if result.faults:
            return
        outcome = result.outcome
        told = {
            "outcome": [outcome.states, outcome.transitions, outcome.seconds],
            "whole": outcome.is_whole,
            "verdicts": result.verdicts,
        }
        self._path(result.world, also).write_text(json.dumps(told) + "\n", encoding="utf-8")

    def mutants(self, worlds: Sequence[World]) -> Path:
        """The file of the mutants that were judged in these worlds."""
        return self._folder / f"mutants-{digest(worlds)}.jsonl"

    def _path(self, world: World, also: tuple[object, ...]) -> Path:
        return self._folder / f"{world.name}-{digest([world], *also)}.json"
