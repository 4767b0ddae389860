"""The tables of docs/proof.md: what was explored, how large it was, and what became of the mutants."""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from proof.explorer import Outcome
from proof.mutants import KINDS, OWN, SEED, Judged
from proof.spin import Verdict
from proof.world import World, events_of


class Result(NamedTuple):
    """What both checkers said of a world; `verdicts` is empty where Spin was not run."""

    world: World
    outcome: Outcome
    verdicts: list[Verdict]

    @property
    def faults(self) -> list[str]:
        """Everything that is wrong, and where the two disagree."""
        found = [f"explorer: {self.outcome.fault.what}"] if self.outcome.fault is not None else []
        if not self.outcome.is_whole:
            return found + [f"spin: {one.what}: {one.fault}" for one in self.verdicts if one.fault]
        found += [f"spin: {one.what}: {one.fault}" for one in self.verdicts if one.fault]
        if self.verdicts and not found and self.verdicts[0].states != self.outcome.states:
            found.append(f"spin has {self.verdicts[0].states} states, the explorer {self.outcome.states}")
        return found


def replaced(page: str, name: str, text: str) -> str:
    """`page` with `text` between its markers called `name`. Raises ValueError if there are none."""
    begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    before, found, rest = page.partition(begin)
    _, ended, after = rest.partition(end)
    if not found or not ended:
        raise ValueError(f"the page has no markers {begin} and {end}")
    return f"{before}{begin}\n\n{text.strip()}\n\n{end}{after}"


def results_table(results: Sequence[Result]) -> str:
    """One row a world."""
    lines = [
        "| world | machines | events | states (explorer) | states (Spin) | turns | promises | explorer | Spin "
        "| result |",
        "|---|---|---:|---:|---:|---:|---:|---:|---:|---|",
    ]
    for one in results:
        world, outcome = one.world, one.outcome
        machines = " ".join(f"{part.name}:{part.table.name}" for part in world.parts)
        spin = f"{one.verdicts[0].states:,}" if one.verdicts else "not run"
        spun = f"{sum(verdict.seconds for verdict in one.verdicts):.0f} s" if one.verdicts else ""
        result = "; ".join(one.faults) or ("all holds" if outcome.is_whole else _in_part(one))
        by = "in both" if len(one.verdicts) > 1 else "by the explorer"
        checked = f"{len(world.eventually)} {by}" if outcome.is_whole else "none"
        lines.append(
            f"| {world.name} | {machines} | {len(events_of(world))} | {outcome.states:,} | {spin} | "
            f"{outcome.transitions:,} | {checked} | {outcome.seconds:.0f} s | {spun} | {result} |"
        )
    lines += ["", "What was bounded:", ""]
    lines += [f"- {one.world.name}: {'; '.join(one.world.bounds)}." for one in results]
    return "\n".join(lines)


def _in_part(result: Result) -> str:
    """What is known of a world that the explorer had no time for."""
    if result.verdicts:
        return "safety holds by Spin; the explorer was stopped, and the promises were not looked at"
    return "nothing found; the explorer was stopped"


def promises_list(worlds: Sequence[World]) -> str:
    """What is asserted and promised, by world."""
    lines = []
    for world in worlds:
        lines += [f"**{world.name}** ({world.about})", "", "| always, when all rest | |", "|---|---|"]
        lines += [f"| {one.name} | `{one.holds}` |".replace("||", "or") for one in world.always]
        lines += ["", "| in the end | given | then |", "|---|---|---|"]
        lines += [f"| {one.name} | `{one.given}` | `{one.then}` |" for one in world.eventually]
        lines.append("")
    return "\n".join(lines)


def mutants_table(judged: Sequence[Judged], whole: int) -> str:
    """How many were found, by kind and by what; and those that survive."""
    by_kind = Counter(one.mutant.kind for one in judged)
    by_world = Counter(one.mutant.kind for one in judged if one.by and one.by != OWN)
    by_table = Counter(one.mutant.kind for one in judged if one.by == OWN)
    found = sum(bool(one.by) for one in judged)
    sample = f"{len(judged)} of {whole} mutants were judged, an even sample of tables and kinds (seed {SEED})"
    lines = [
        f"{sample if len(judged) < whole else f'All {whole} mutants were judged'}: {found} were found "
        f"({100 * found / len(judged):.0f} %).",
        "",
        "| kind | made | found by a world | found by the table's own checks alone | survive |",
        "|---|---:|---:|---:|---:|",
    ]
    for kind in KINDS:
        left = by_kind[kind] - by_world[kind] - by_table[kind]
        lines.append(f"| {kind} | {by_kind[kind]} | {by_world[kind]} | {by_table[kind]} | {left} |")
    lines += ["", "Those that survive:", ""]
    lines += [f"- {one.mutant.kind}: {one.mutant.what}" for one in judged if not one.by]
    return "\n".join(lines)
