"""The HTTP client as a machine: two automata that talk to each other, side by side.

A client waits, too: for the connection, for the socket to take the request, for the answer. So it is a machine like the
server's connection (`statemachines.upstream`), with states of its own, and it runs on the same loop: here one thread is
the client, the server, and the one who asks the mail store. Each of the two machines knows only its own end of the
socket. What moves one is what the other has sent:

    client   CONNECTING  SENDING_REQUEST   AWAITING_RESPONSE                                      IDLE
    server                AWAITING_REQUEST            QUERYING_BACKEND    SENDING_RESPONSE        AWAITING_REQUEST

The server is lab 8's. The client's program is two lines (`fetch`), run by the smallest executor that there can be
(`Caller`): start what the coroutine awaits, resume it when that has ended. The second request goes by the same
connection, which was IDLE in the client's pool while it was AWAITING_REQUEST in the server.

    python -m labs client-machine --step

walks both through, each passage with both tables beside each other.
"""

import socket
from collections.abc import Coroutine, Sequence
from typing import Any, Final

from clerestory.handlers.api.operations import Operation
from clerestory.handlers.backends.upstream.connection import UpstreamConnection
from clerestory.handlers.backends.upstream.upstream import Upstream
from clerestory.statemachines import upstream as client_table
from clerestory.statemachines.engine import Engine
from clerestory.statemachines.loop import Loop
from labs import mail_store
from labs.findings import Findings, Stage
from labs.hosting import host
from labs.machine_state import mail_server
from labs.pairing import CLIENT, RESTING, draw, dwell_together, name_of, side_by_side, together_table
from labs.serving import serving
from labs.stepping import Walk
from labs.store_machine import MailStore

DELAY: Final = 0.02
"""Seconds that the store takes."""


class Caller:
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
        plots={
            "client-machine": draw(
                walk,
                "Both ends of one connection, in one thread",
                "two requests; the states of the client's machine, the server's, and the question's to the mail store",
            )
        },
        figures={
            "answers": sum(answer == mail_store.email(number) for number, answer in answers.items()),
            "connections": len({machine for _, machine, _ in walk.passages if name_of(machine) == CLIENT}),
            "share of the longest": share,
            **{f"{client} {server}": seconds for (client, server), seconds in together.items()},
        },
    )


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
            caller = Caller(loop, fetch(upstream, number))
            while caller.answer is None:
                loop.turn(1)
            answers[number] = caller.answer
            stage.say(f"e-mail {number}: {caller.answer.decode().strip()}")
        upstream.close()
        loop.turn(1)  # the server sees the end
        loop.close()
    return walk, answers
