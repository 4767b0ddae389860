"""`labs/REPORT.md`: every lab's findings, the table of all models, and a line for every claim of the lecture.

Nothing in it is written by hand but the labs' stories: figures, verdicts and plots come from the run that writes it,
and it says on which machine, when, and how busy that was. It is written when all labs have been run, in one go.
"""

import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.machine import library_versions, particulars
from benchmarks.processes import ServerFailed
from benchmarks.report import Table
from labs import report_models
from labs.catalogue import LABS, Lab
from labs.claims import CLAIMS
from labs.findings import Findings, Stage

HERE = Path(__file__).parent
PLOTS = "plots"

NAMES = frozenset({"epoll", "poll", "select", "recv", "asyncio", "add_to_inbox"})
"""Words that keep their small letter at the beginning of a sentence."""

LEAD = """\
A server can wait in several ways, and each was invented because the one before it was in the way. These labs go the
road from the first to the last: each is a program to be read in five minutes and run with one command, and each
measures the fact that it is there to show. `python -m labs` lists them, `python -m labs NAME` runs one, and this page
is what `python -m labs report` has measured, on the machine named at its end.
"""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a lab: its findings, or the reason why there are none."""

    lab: Lab
    findings: Findings | None
    failure: str = ""


def perform_all(stage: Stage, labs: Sequence[Lab] = LABS) -> list[Outcome]:
    """Run the labs one after the other. One that fails does not take the others with it."""
    outcomes = []
    for lab in labs:
        begun = time.monotonic()
        stage.say(f"{lab.number}. {lab.title}")
        try:
            outcomes.append(Outcome(lab, lab.run(stage)))
        except (ServerFailed, OSError, ValueError, ModuleNotFoundError) as error:
            outcomes.append(Outcome(lab, None, f"{type(error).__name__}: {error}"))
            stage.say(f"{lab.name} failed: {error!r}")
        stage.say(f"{lab.name} took {time.monotonic() - begun:.1f} s")
    return outcomes


def write(directory: Path, stage: Stage) -> list[Outcome]:
    """Run everything and write the page and its plots into `directory`."""
    facts = {"Load before": _load(stage)}
    outcomes = perform_all(stage)
    stage.say("the same work on every model")
    models = report_models.run(stage)
    facts["Load after"] = _load(stage)
    page = "\n".join(_page(outcomes, models, facts, stage.quick))
    (directory / PLOTS).mkdir(parents=True, exist_ok=True)
    for stale in (directory / PLOTS).glob("*.svg"):
        stale.unlink()
    for findings in (*(outcome.findings for outcome in outcomes if outcome.findings), models):
        for name, svg in findings.plots.items():
            (directory / PLOTS / f"{name}.svg").write_text(svg, encoding="utf-8")
    (directory / "REPORT.md").write_text(page, encoding="utf-8")
    return outcomes


def _load(stage: Stage) -> str:
    """How busy the machine is."""
    average = f"{os.getloadavg()[0]:.1f} runnable, on average of the last minute"
    stage.say(f"load: {average}")
    return average


def _page(outcomes: Sequence[Outcome], models: Findings, facts: Mapping[str, str], quick: bool) -> Iterator[str]:
    yield "# Labs: the road from blocking to state machines\n"
    yield LEAD
    yield "| | lab | what it shows |\n|---:|---|---|"
    for outcome in outcomes:
        shows = outcome.findings.shows if outcome.findings else f"failed: {outcome.failure}"
        yield f"| {outcome.lab.number} | [{outcome.lab.name}](#{_anchor(outcome.lab)}) | {shows} |"
    yield ""
    for outcome in outcomes:
        yield from _section(outcome)
    yield "## The same work on every model\n"
    yield "The same echo and the same e-mail, written once in every way of serving ([labs/models](models)).\n"
    yield f"**{models.shows}**\n"
    yield from _exhibits("The same work on every model", models)
    yield from _claims(outcomes)
    yield from _measured_on(facts, quick)


def _anchor(lab: Lab) -> str:
    """The address that code hosts give the lab's heading."""
    kept = "".join(letter for letter in f"{lab.number}. {lab.title}".lower() if letter.isalnum() or letter in " -")
    return kept.replace(" ", "-")


def _section(outcome: Outcome) -> Iterator[str]:
    """One lab: its story, what it showed, what it measured."""
    lab, findings = outcome.lab, outcome.findings
    yield f"## {lab.number}. {lab.title}\n"
    _, _, story = lab.story().partition("\n\n")
    yield f"*`python -m labs {lab.name}`, [{lab.module.replace('.', '/')}.py]({lab.module.partition('.')[2]}.py)*\n"
    yield story + "\n"
    if findings is None:
        yield f"**This run has no findings: {outcome.failure}**\n"
        return
    yield f"**{findings.shows}**\n"
    yield from _exhibits(lab.title, findings)


def _exhibits(title: str, findings: Findings) -> Iterator[str]:
    for name in findings.plots:
        yield f"![{title}]({PLOTS}/{name}.svg)\n"
    for table in findings.tables:
        yield table.markdown().replace("## ", "### ", 1)
    if findings.notes:
        yield "\n".join(f"- {note}" for note in findings.notes) + "\n"


def claims_table(outcomes: Sequence[Outcome]) -> Table:
    """A line for every claim of the lecture, or several where several labs have measured it."""
    rows: list[Sequence[str]] = []
    for key, claim in CLAIMS.items():
        found = [
            (outcome.lab, made)
            for outcome in outcomes
            if outcome.findings
            for made in outcome.findings.claims
            if made.key == key
        ]
        rows += [
            (
                claim if first else "",
                f"**{made.verdict}**",
                sentence(made.measured),
                sentence(made.why),
                str(lab.number),
            )
            for first, (lab, made) in zip([True, *[False] * len(found)], found, strict=False)
        ] or [(claim, "not measured", "", "", "")]
    columns = ("the lecture says", "it", "measured", "why", "lab")
    return Table("", columns, rows, left=frozenset(columns))


def sentence(text: str) -> str:
    """With a capital and a full stop, however the lab has put it."""
    text = text[:1].upper() + text[1:] if text.partition(" ")[0] not in NAMES else text
    return text if text.endswith((".", "?", "!")) else text + "."


def _claims(outcomes: Sequence[Outcome]) -> Iterator[str]:
    yield "## What the lecture says, and what we measured\n"
    yield claims_table(outcomes).markdown()


def _measured_on(facts: Mapping[str, str], quick: bool) -> Iterator[str]:
    libraries = library_versions("h11", "httptools", "transitions", "structlog")
    versions = {"Libraries": ", ".join(f"{name} {version}" for name, version in libraries.items())}
    found = {**particulars(versions, quick=quick), **facts, "Run": " ".join(["python -m labs", *sys.argv[1:]])}
    yield "## Measured on\n"
    yield "\n".join(f"- {name}: {value}" for name, value in found.items()) + "\n"
