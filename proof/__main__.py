"""The command: `python -m proof`, in a checkout."""

import argparse
import math
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from proof import catalogue, spin
from proof.explorer import Explorer
from proof.kept import Kept
from proof.mutants import all_mutants, in_order, judge_all
from proof.promela import to_promela
from proof.recordings import told, write
from proof.report import Result, mutants_table, promises_list, replaced, results_table
from proof.world import World

PAGE = Path("docs/proof.md")

SMALL = 5_000
"""States of a world up to which Spin checks its promises as well, which takes it one run for each under fairness. Those
of larger worlds are checked by the explorer alone, and Spin checks their safety."""

DESCRIPTION = """\
Explore the machines together, from the tables that run: every state, by two checkers that must agree.

Exit status: 0 if all holds, 1 if a fault was found, 2 on a usage error.
"""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(
        prog="python -m proof", description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument(
        "what",
        nargs="?",
        choices=["worlds", "mutants", "report", "promises", "promela"],
        default="worlds",
        help="explore the worlds (default), judge mutants of the tables, write docs/proof.md, its promises alone, or "
        "print the models",
    )
    made.add_argument("--quick", action="store_true", help="the small worlds, without Spin: some seconds")
    made.add_argument("--world", metavar="NAME", help="only the worlds of this name")
    made.add_argument("--no-spin", action="store_true", help="by our own explorer alone")
    made.add_argument(
        "--minutes", type=float, default=20, metavar="N", help="time to judge mutants (default: %(default)g)"
    )
    made.add_argument(
        "--seconds", type=float, default=math.inf, metavar="N", help="time to explore one world (default: no end)"
    )
    made.add_argument(
        "--kept", type=Path, metavar="DIR", help="where results are kept, so that what is known is not explored again"
    )
    made.add_argument(
        "--recordings", type=Path, default=Path("proof-recordings"), metavar="DIR", help="where counter-examples go"
    )
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the exit status."""
    asked = parser().parse_args(arguments)
    worlds = [
        world for world in (catalogue.quick() if asked.quick else catalogue.full()) if asked.world in (None, world.name)
    ]
    if not worlds:
        print(f"there is no world {asked.world}", file=sys.stderr)
        return 2
    if asked.what == "promela":
        print("\n".join(map(to_promela, worlds)))
        return 0
    if asked.what == "promises":
        _write(promises=_promises())
        return 0
    kept = Kept(asked.kept) if asked.kept else None
    if asked.what == "mutants":
        print(_judged(asked.minutes, kept))
        return 0
    with_spin = not (asked.quick or asked.no_spin)
    if with_spin and not spin.is_there():
        print("Spin is not installed (apt-get install spin gcc): our own explorer runs alone", file=sys.stderr)
        with_spin = False
    results = [_result(world, kept, asked.recordings, asked.seconds, with_spin=with_spin) for world in worlds]
    if asked.what == "report":
        _write(results=results_table(results), promises=_promises(), mutants=_judged(asked.minutes, kept))
    faults = [fault for one in results for fault in one.faults]
    states = sum(one.outcome.states for one in results)
    print(f"{len(faults)} faults" if faults else f"all holds: {len(results)} worlds, {states:,} states")
    return 1 if faults else 0


def _result(world: World, kept: Kept | None, folder: Path, seconds: float, *, with_spin: bool) -> Result:
    """What is known of a world, or found now."""
    known = kept.get(world, with_spin) if kept is not None else None
    if known is not None:
        print(f"{world.name}: {known.outcome.states:,} states, as it was kept", flush=True)
        return known
    result = _explored(world, folder, seconds, with_spin=with_spin)
    if kept is not None:
        kept.put(result, with_spin)
    return result


def _explored(world: World, folder: Path, seconds: float, *, with_spin: bool) -> Result:
    outcome = Explorer(world).explore(seconds=seconds)
    stopped = "" if outcome.is_whole else ", and then it was stopped"
    took = f"{outcome.transitions:,} turns, {outcome.seconds:.1f} s{stopped}"
    print(f"{world.name}: {outcome.states:,} states, {took}", flush=True)
    if outcome.fault is not None:
        print(told(world, outcome.fault))
        for path in write(world, outcome.fault, folder):
            print(f"  {path}: clerestory replay {path}")
        return Result(world, outcome, [])
    liveness = outcome.is_whole and outcome.states <= SMALL
    tell: Callable[[str], object] = lambda line: print(f"  spin: {line}", flush=True)  # noqa: E731
    verdicts = spin.check(world, tell, liveness=liveness) if with_spin else []
    result = Result(world, outcome, verdicts)
    for fault in result.faults:
        print(f"  FAULT: {fault}")
    return result


def _judged(minutes: float, kept: Kept | None) -> str:
    worlds = catalogue.for_mutants()
    found = all_mutants(worlds)
    tell: Callable[[str], object] = lambda line: print(line, file=sys.stderr, flush=True)  # noqa: E731
    path = kept.mutants(worlds) if kept is not None else None
    judged = judge_all(in_order(found), worlds, tell, seconds=60 * minutes, kept=path)
    return mutants_table(judged, len(found))


def _promises() -> str:
    return promises_list(list({world.name: world for world in catalogue.full()}.values()))


def _write(**parts: str) -> None:
    """Write the parts of the page that are between markers of their names."""
    page = PAGE.read_text(encoding="utf-8")
    for name, text in parts.items():
        page = replaced(page, name, text)
    PAGE.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
