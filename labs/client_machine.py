"""The HTTP client as a machine: two automata that talk to each other, side by side.

A client waits, too: for the connection, for the socket to take the request, for the answer. So it is a machine like the
server's connection (`statemachines.upstream`), with states of its own, and it runs on the same loop: here one thread is
the client, the server, and the one who asks the mail store. Each of the two machines knows only its own end of the
socket. What moves one is what the other has sent:

    client   CONNECTING  SENDING_REQUEST   AWAITING_RESPONSE                                      IDLE
    server                AWAITING_REQUEST            QUERYING_BACKEND    SENDING_RESPONSE        AWAITING_REQUEST

The server is lab 8's. The client's program is two lines (`fetch`), run by the smallest executor that there can be
(`Asker`): start what the coroutine awaits, resume it when that has ended. The second request goes by the same
connection, which was IDLE in the client's pool while it was AWAITING_REQUEST in the server.

    python -m labs client-machine --step

walks both through, each passage with both tables beside each other.
"""

import socket
from collections import defaultdict
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any, Final

from benchmarks.report import Table
from benchmarks.summary import duration
from handlers.backends.upstream import Upstream
from handlers.backends.upstream_connection import UpstreamConnection
from handlers.operations import Operation
from labs import mail_store
from labs.findings import Findings, Stage
from labs.hosting import host
from labs.machine_state import mail_server
from labs.plotting import Lane, Span, Tone, timeline
from labs.serving import serving
from labs.stepping import Walk
from labs.store_machine import MailStore
from statemachines import upstream as client_table
from statemachines.contract import Loop
from statemachines.engine import Engine

CLIENT, SERVER, STORE = "upstream", "connection", "store"
DELAY: Final = 0.01
"""Seconds that the store takes."""
RESTING: Final = {"IDLE", "AWAITING_REQUEST"}
"""Where the two are between two requests, each waiting for the other to want something."""


class Asker:
    """Runs a coroutine that awaits operations."""

    def __init__(self, loop: Loop, coroutine: Coroutine[Any, Any, bytes]) -> None:
        self.loop = loop
        self.answer: bytes | None = None
        self._coroutine = coroutine
        self._step(None)

    def _step(self, result: object, error: BaseException | None = None) -> None:
        try:
            operation = self._coroutine.send(result) if error is None else self._coroutine.throw(error)
        except StopIteration as done:
            self.answer = done.value
        else:
            operation.start(self)

    def finished(self, operation: Operation, result: object = None, error: BaseException | None = None) -> None:  # noqa: ARG002
        """The operation that was awaited has ended."""
        self._step(result, error)


async def fetch(upstream: Upstream, number: int) -> bytes:
    """One e-mail, by HTTP."""
    answer = await upstream.request("GET", f"/emails/{number}")
    return await answer.read()


def run(stage: Stage) -> Findings:
    """Two requests on one connection; what both ends did, and who waited for whom."""
    walk, answers = converse(stage, (7, 8))
    together = dwell_together(walk)
    waits = {pair: seconds for pair, seconds in together.items() if set(pair) != RESTING}
    longest = max(waits, key=lambda pair: waits[pair])
    share = waits[longest] / sum(waits.values())
    return Findings(
        shows=f"{len(answers)} e-mails by one connection in one thread: {share:.0%} of the time the client was "
        f"{longest[0]} while the server was {longest[1]}.",
        tables=(side_by_side(walk), together_table(waits)),
        plots={"client-machine": draw(walk)},
        figures={
            "answers": sum(answer == mail_store.email(number) for number, answer in answers.items()),
            "connections": len({machine for _, machine, _ in walk.passages if name_of(machine) == CLIENT}),
            "share of the longest": share,
            **{f"{client} {server}": seconds for (client, server), seconds in together.items()},
        },
    )


def name_of(machine: Any) -> str:
    """Which table a machine runs."""
    return str(machine.engine.table.name)


def converse(stage: Stage, numbers: Sequence[int]) -> tuple[Walk, dict[int, bytes]]:
    """Fetch the e-mails one after the other, all on one loop; every passage, and the answers."""
    walk = Walk(stage)
    answers = {}
    with serving(mail_store.serve, DELAY) as backend, socket.create_server(("127.0.0.1", 0)) as listener:
        store = MailStore(backend.address, walk.observe)
        service = host(listener, mail_server(store), clock=walk.clock, observer=walk.observe)
        loop = walk.loop = service.loop
        address = "{}:{}".format(*listener.getsockname())
        upstream = Upstream(f"http://{address}")
        (pool,) = upstream.site(loop).pools
        pool.engine = Engine(client_table.TABLE, UpstreamConnection, loop.clock, loop.limits, observer=walk.observe)
        for number in numbers:
            asker = Asker(loop, fetch(upstream, number))
            while asker.answer is None:
                loop.turn(1)
            answers[number] = asker.answer
            stage.say(f"e-mail {number}: {asker.answer.decode().strip()}")
        upstream.close()
        loop.turn(1)  # the server sees the end
        loop.close()
    return walk, answers


def side_by_side(walk: Walk) -> Table:
    """Every passage of the two, each in its own column."""
    columns = ("after", "the client's machine", "the server's machine")
    table = Table("Both ends of one connection", columns, left=frozenset(columns[1:]))
    begun = walk.passages[0][0]
    for at, machine, edge in walk.passages:
        told = f"{edge.trigger} -> {edge.dest.state}"
        if name_of(machine) != STORE:
            cells = (told, "") if name_of(machine) == CLIENT else ("", told)
            table.rows.append((duration(at - begun), *cells))
    return table


def dwell_together(walk: Walk) -> dict[tuple[str, str], float]:
    """Seconds that the two ends have spent in each pair of states, from the client's first passage to its last."""
    found: dict[tuple[str, str], float] = defaultdict(float)
    states: dict[str, str] = {}
    before = 0.0
    for at, machine, edge in walk.passages:
        name = name_of(machine)
        if name == STORE:
            continue
        if states:
            found[states[CLIENT], states.get(SERVER, "AWAITING_REQUEST")] += at - before
        states[name], before = edge.dest.state, at
        if edge.dest.final:
            break
    return found


def together_table(waits: Mapping[tuple[str, str], float]) -> Table:
    table = Table(
        "Where both were at the same time, while a request was under way",
        ("the client", "the server", "for", "share"),
        left=frozenset({"the server"}),
        note="The server is AWAITING_REQUEST while the request, or the answer's last bytes, are on their way.",
    )
    total = sum(waits.values())
    for (client, server), seconds in sorted(waits.items(), key=lambda item: -item[1]):
        table.rows.append((client, server, duration(seconds), f"{seconds / total:.1%}"))
    return table


TONES: Final = {
    "IDLE": Tone.QUIET,
    "AWAITING_REQUEST": Tone.QUIET,
    "CONNECTING": Tone.FOURTH,
    "SENDING_REQUEST": Tone.FOURTH,
    "SENDING_RESPONSE": Tone.FOURTH,
    "QUERYING_BACKEND": Tone.WARM,
}


def draw(walk: Walk) -> str:
    """The states of the three machines on one time axis."""
    begun, ended = walk.passages[0][0], walk.passages[-1][0]
    lanes = []
    for name, title in ((CLIENT, "client"), (SERVER, "server"), (STORE, "query of the store")):
        passages = [(at - begun, edge) for at, machine, edge in walk.passages if name_of(machine) == name]
        ends = [at for at, _ in passages[1:]] + [ended - begun]
        spans = [
            Span(at, end, TONES.get(edge.dest.state, Tone.OURS), edge.dest.state)
            for (at, edge), end in zip(passages, ends, strict=True)
            if not edge.dest.final
        ]
        lanes.append(Lane(title, spans))
    return timeline(
        "Both ends of one connection, in one thread",
        "two requests; the states of the client's machine, the server's, and of the question to the mail store",
        lanes,
    )
