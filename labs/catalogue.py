"""The labs, in the order of the road. A lab's module is imported when it is run, not before."""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, cast

from labs.findings import Findings, Stage


class NoSuchLab(LookupError):
    """The catalogue has no lab of that name or number."""


@dataclass(frozen=True, slots=True)
class Lab:
    """One step of the road. Its module is `labs.` and its name, with underscores for hyphens."""

    number: int
    name: str
    title: str

    @property
    def module(self) -> str:
        """The module's full name."""
        return "labs." + self.name.replace("-", "_")

    def story(self) -> str:
        """The module's docstring: the first line is its heading."""
        return (importlib.import_module(self.module).__doc__ or "").strip()

    def run(self, stage: Stage) -> Findings:
        """Run it."""
        run = cast(Callable[[Stage], Findings], importlib.import_module(self.module).run)
        return run(stage)


LABS: Final = (
    Lab(1, "one-at-a-time", "echo, one at a time"),
    Lab(2, "thread-pool", "echo with a pool of threads, and what a thread costs"),
    Lab(3, "two-blocking", "two connections, one thread, blocking reads"),
    Lab(4, "two-polling", "two connections, non-blocking reads: EAGAIN, at full speed"),
    Lab(5, "two-epoll", "two connections and epoll: asleep until something is ready"),
    Lab(6, "event-loop", "the event loop: clients, standard input, a signal and a timer"),
    Lab(7, "stack-state", "state in the stack: the e-mail server with a thread for each connection"),
    Lab(8, "machine-state", "state in a machine: the e-mail server on the loop"),
    Lab(9, "client-machine", "the HTTP client as a machine: two automata side by side"),
    Lab(10, "starvation", "the dark side: a firehose starves the others"),
    Lab(11, "herd", "the dark side: the thundering herd"),
    Lab(12, "traps", "the dark side: epoll's traps"),
    Lab(13, "portable", "portable: the same server on epoll, poll and select"),
    Lab(14, "coroutines", "coroutines: the state machine that Python compiles"),
    Lab(15, "ten-thousand", "ten thousand connections in one thread"),
    Lab(16, "cpu-bound", "what it is not for: a handler that computes"),
)


def find(word: str) -> Lab:
    """The lab of that name or number. Raises NoSuchLab."""
    for lab in LABS:
        if word in (lab.name, str(lab.number)):
            return lab
    raise NoSuchLab(f"there is no lab {word}; there are {', '.join(lab.name for lab in LABS)}")
