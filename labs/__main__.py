"""`python -m labs` lists the labs, `python -m labs NAME` runs one, `python -m labs report` writes about all."""

import argparse
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.processes import ServerFailed
from labs import report
from labs.catalogue import LABS, Lab, NoSuchLab, find
from labs.claims import CLAIMS
from labs.findings import Findings, Stage
from labs.stepping import any_key


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(prog="python -m labs", description="The road from blocking to state machines.")
    made.add_argument("lab", nargs="?", help="a lab's name or number, or `report`; the labs are listed without it")
    made.add_argument("--quick", action="store_true", help="small loads: to see that it works, not to be quoted")
    made.add_argument("--step", action="store_true", help="stop at every move until a key is pressed, where a lab can")
    made.add_argument("--output", type=Path, metavar="DIR", help="where the report, or a lab's plots, are written")
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """List, or run; 0, 1 when a lab failed, 2 when the command line asks for what is not there."""
    options = parser().parse_args(arguments)
    if options.lab is None:
        print(listed())
        return 0
    stage = Stage(Progress().say, options.quick, options.step, any_key)
    if options.lab == "report":
        return write_report(stage, options.output)
    try:
        lab = find(options.lab)
    except NoSuchLab as reason:
        return refuse(str(reason))
    return perform(lab, stage, options.output)


def refuse(reason: str) -> int:
    """Say why not."""
    print(f"python -m labs: {reason}", file=sys.stderr)
    return 2


def write_report(stage: Stage, directory: Path | None) -> int:
    """Run everything. A quick run does not take the place of the published figures, so it must say where to write."""
    if directory is None and stage.quick:
        return refuse("a quick report is not to be published: say where to write it, with --output DIR")
    directory = directory or report.HERE
    outcomes = report.write(directory, stage)
    stage.say(f"written: {directory / 'REPORT.md'}")
    return 0 if all(outcome.findings for outcome in outcomes) else 1


def listed() -> str:
    """The road, a line for each lab."""
    width = max(len(lab.name) for lab in LABS)
    return "\n".join(f"{lab.number:>3}  {lab.name:<{width}}  {lab.title}" for lab in LABS)


class Progress:
    """Says what is going on, with the seconds since the beginning."""

    def __init__(self) -> None:
        self.begun = time.monotonic()

    def say(self, text: str) -> None:
        """One line, at once."""
        print(f"{time.monotonic() - self.begun:7.2f} s  {text}", flush=True)


def perform(lab: Lab, stage: Stage, plots: Path | None) -> int:
    """Run one lab, print what it found, and write its plots if that is wanted."""
    print(f"{lab.number}. {lab.title}\n\n{lab.story()}\n", flush=True)
    try:
        findings = lab.run(stage)
    except ServerFailed as reason:
        print(f"python -m labs: {lab.name}: {reason}", file=sys.stderr)
        return 1
    print("\n" + told(findings))
    if plots is not None:
        plots.mkdir(parents=True, exist_ok=True)
        for name, svg in findings.plots.items():
            (plots / f"{name}.svg").write_text(svg, encoding="utf-8")
            stage.say(f"written: {plots / name}.svg")
    return 0


def told(findings: Findings) -> str:
    """Findings for the terminal."""
    parts = [table.text() for table in findings.tables]
    parts += ["\n".join(f"- {note}" for note in findings.notes) + "\n"] if findings.notes else []
    for claim in findings.claims:
        parts += [f'"{CLAIMS[claim.key]}" {claim.verdict.capitalize()}: {claim.measured}. {claim.why}\n']
    return "\n".join([*parts, findings.shows])


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the servers are ended on the way out
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
