"""The command: `python -m proof`, in a checkout."""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from proof import catalogue, spin
from proof.explorer import Explorer
from proof.mutants import all_mutants, judge_all, sample
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
        choices=["worlds", "mutants", "report", "promela"],
        default="worlds",
        help="explore the worlds (default), judge mutants of the tables, write docs/proof.md, or print the models",
    )
    made.add_argument("--quick", action="store_true", help="the small worlds, without Spin: some seconds")
    made.add_argument("--world", metavar="NAME", help="only the worlds of this name")
    made.add_argument("--no-spin", action="store_true", help="by our own explorer alone")
    made.add_argument("--most", type=int, default=120, metavar="N", help="mutants to judge (default: %(default)s)")
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
    if asked.what == "mutants":
        print(_judged(asked.most))
        return 0
    with_spin = not (asked.quick or asked.no_spin)
    if with_spin and not spin.is_there():
        print("Spin is not installed (apt-get install spin gcc): our own explorer runs alone", file=sys.stderr)
        with_spin = False
    results = [_explored(world, with_spin, asked.recordings) for world in worlds]
    if asked.what == "report":
        page = PAGE.read_text(encoding="utf-8")
        page = replaced(page, "results", results_table(results))
        kinds = list({world.name: world for world in catalogue.full()}.values())
        page = replaced(page, "promises", promises_list(kinds))
        if asked.most:
            page = replaced(page, "mutants", _judged(asked.most))
        PAGE.write_text(page, encoding="utf-8")
    faults = [fault for one in results for fault in one.faults]
    states = sum(one.outcome.states for one in results)
    print(f"{len(faults)} faults" if faults else f"all holds: {len(results)} worlds, {states:,} states")
    return 1 if faults else 0


def _explored(world: World, with_spin: bool, folder: Path) -> Result:
    outcome = Explorer(world).explore()
    print(
        f"{world.name}: {outcome.states:,} states, {outcome.transitions:,} turns, {outcome.seconds:.1f} s", flush=True
    )
    if outcome.fault is not None:
        print(told(world, outcome.fault))
        for path in write(world, outcome.fault, folder):
            print(f"  {path}: clerestory replay {path}")
        return Result(world, outcome, [])
    liveness = outcome.states <= SMALL
    tell: Callable[[str], object] = lambda line: print(f"  spin: {line}", flush=True)  # noqa: E731
    verdicts = spin.check(world, tell, liveness=liveness) if with_spin else []
    result = Result(world, outcome, verdicts)
    for fault in result.faults:
        print(f"  FAULT: {fault}")
    return result


def _judged(most: int) -> str:
    worlds = catalogue.for_mutants()
    found = all_mutants(worlds)
    judged = judge_all(sample(found, most), worlds, lambda line: print(line, file=sys.stderr, flush=True))
    return mutants_table(judged, len(found))


if __name__ == "__main__":
    sys.exit(main())
