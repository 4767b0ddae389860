"""Two clients of a server that holds exactly two: what labs 3, 4 and 5 do to their servers, and how they show it.

Both clients connect and are silent for a while, in which the server's idle CPU is measured. Then the second asks, again
and again, while the first goes on saying nothing: until the second has had all its answers, or patience is at its end.
At last the first asks as well, as often as the second.
"""

import socket
import threading
import time
from collections import Counter
from dataclasses import dataclass

from benchmarks.report import Table
from benchmarks.summary import duration, figure
from labs.load import ask, connections
from labs.measuring import Usage
from labs.plotting import Lane, Span, Tone, timeline
from labs.serving import Serve, serving

Exchange = tuple[float, float]
"""When a client asked, and when it was answered: seconds from the moment at which the second began to speak."""


@dataclass(frozen=True, slots=True)
class Heard:
    """The exchanges of both clients, what the server spent in the silence before, and what it counted in all."""

    first: list[Exchange]
    second: list[Exchange]
    silent: Usage
    counted: Counter[str]
    seconds: float
    """How long the server had its two clients."""

    @property
    def longest(self) -> float:
        """The longest that the second client waited for an answer."""
        return max(answered - asked for asked, answered in self.second)

    @property
    def at_once(self) -> bool:
        """Whether the second had all its answers before the first had said anything."""
        return self.second[-1][1] <= self.first[0][0]


def listen_to_two(serve: Serve, *words: object, silence: float, patience: float, questions: int = 5) -> Heard:
    """Play it to `serve`: `silence` seconds in which both are silent, at most `patience` in which the first is."""
    apart = silence / questions
    satisfied = threading.Event()
    first_said: list[Exchange] = []
    second_said: list[Exchange] = []
    with serving(serve, *words) as server, connections(server.address, 2) as (first, second):
        for client in (first, second):
            ask(client, b"good morning\n")  # both are taken
        time.sleep(0.05)  # and the server has gone back to its wait; what follows is silence
        before = server.usage()
        time.sleep(silence)
        silent = server.usage() - before
        begun = time.monotonic()

        def speak_at_last() -> None:
            satisfied.wait(patience)
            _speak(first, questions, begun, first_said, apart / 4)

        other = threading.Thread(target=speak_at_last)
        other.start()
        _speak(second, questions, begun, second_said, apart)
        satisfied.set()
        other.join()
        seconds = time.monotonic() - before.when
    return Heard(first_said, second_said, silent, server.counted, seconds)


def _speak(client: socket.socket, times: int, begun: float, said: list[Exchange], apart: float) -> None:
    for _ in range(times):
        asked = time.monotonic() - begun
        ask(client, b"hello\n")
        said.append((asked, time.monotonic() - begun))
        time.sleep(apart)


def picture(title: str, lead: str, heard: Heard) -> str:
    """Both clients on one time axis."""
    lanes = []
    for name, exchanges in (("the first", heard.first), ("the second", heard.second)):
        waits = [Span(asked, answered, Tone.QUIET, "has asked: not heard") for asked, answered in exchanges]
        answers = [(answered, Tone.OURS) for _, answered in exchanges]
        lanes.append(Lane(name, waits, answers, [(asked, Tone.WARM) for asked, _ in exchanges]))
    key = ((Tone.WARM, "asks"), (Tone.OURS, "is answered"), (Tone.QUIET, "waits meanwhile"))
    return timeline(title, lead, lanes, key=key)


def table(title: str, rows: dict[str, Heard]) -> Table:
    """Some servers beside each other."""
    return Table(
        title,
        ("server", "the second waited at most", "CPU wanted in silence", "EAGAIN a second", "switches in silence"),
        [
            (
                name,
                duration(heard.longest),
                f"{heard.silent.wanted:.2%}",
                figure(heard.counted["EAGAIN"] / heard.seconds),
                str(heard.silent.switches),
            )
            for name, heard in rows.items()
        ],
    )
