"""`python -m labs` lists the labs, `python -m labs NAME` runs one, `python -m labs report` writes about all."""

import argparse
import signal
import sys
import time
from collections.abc import Sequence

from benchmarks.processes import ServerFailed
from labs.catalogue import LABS, Lab, NoSuchLab, find
from labs.findings import Findings, Stage
from labs.stepping import any_key


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(prog="python -m labs", description="The road from blocking to state machines.")
    made.add_argument("lab", nargs="?", metavar="LAB", help="a lab's name or number; all are listed when none is given")
    made.add_argument("--quick", action="store_true", help="small loads: to see that it works, not to be quoted")
    made.add_argument("--step", action="store_true", help="stop at every move until a key is pressed, where a lab can")
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """List, or run; 0, 1 when a server failed, 2 when the command line asks for what is not there."""
    options = parser().parse_args(arguments)
    if options.lab is None:
        print(listed())
        return 0
    try:
        lab = find(options.lab)
    except NoSuchLab as reason:
        print(f"python -m labs: {reason}", file=sys.stderr)
        return 2
    return perform(lab, Stage(Progress().say, options.quick, options.step, any_key))


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


def perform(lab: Lab, stage: Stage) -> int:
    """Run one lab and print what it found."""
    print(f"{lab.number}. {lab.title}\n\n{lab.story()}\n", flush=True)
    try:
        print("\n" + told(lab.run(stage)))
    except ServerFailed as reason:
        print(f"python -m labs: {lab.name}: {reason}", file=sys.stderr)
        return 1
    return 0


def told(findings: Findings) -> str:
    """Findings for the terminal."""
    parts = [table.text() for table in findings.tables]
    parts += [f"- {note}" for note in findings.notes]
    parts += [f"{claim.verdict}: {claim.key}: {claim.measured}. {claim.why}" for claim in findings.claims]
    return "\n".join([*parts, "", findings.shows])


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the servers are ended on the way out
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
