"""State in a machine: the e-mail server of the last lab, in one thread.

A thread that waits keeps its place in its stack: where it is, and with what. Without the thread, nothing remembers
that. So each descriptor has an object that does, a *machine*: one named state (where it is), and a few fields (with
what). When its descriptor is ready, the loop finds it in a dictionary and lets it make its next step. Of the client's
connection

    reading request  ->  querying backend  ->  sending response

are the states that everybody speaks of; `statemachines.connection` has all of them, and it is the shipped server that
runs here. The handler below is three lines. While it waits for the mail store, the connection rests in
QUERYING_BACKEND, and the question has a descriptor and a machine of its own (`labs.store_machine`).

    python -m labs machine-state --step

stops at every passage, shows the table with the state that has been reached, and what each descriptor waits for.
Note what epoll has been told: a state that wants less than that costs no system call.
"""

import socket

from benchmarks.report import Table
from benchmarks.summary import duration, size
from clerestory.handlers.api.messages import Request, Response
from clerestory.handlers.router import Router
from clerestory.server.connection.connection import Connection
from clerestory.server.connection.room import connections
from clerestory.statemachines.connection import State as S
from clerestory.statemachines.contract import Facts
from labs import mail_store
from labs.findings import Claim, Findings, Stage, verdict
from labs.hosting import host
from labs.pairing import draw
from labs.serving import serving
from labs.stepping import Walk
from labs.store_machine import MailStore
from labs.waiting import REQUEST, turn_until, wait_together


def mail_server(store: MailStore) -> Router:
    """The application: one route."""
    router = Router()

    @router.get("/emails/{number:int}")
    async def show(request: Request, number: int) -> Response:  # noqa: ARG001 - it was READING_HEAD until here
        found = await store.find(number)  # QUERYING_BACKEND
        return Response(found)  # SENDING_RESPONSE

    return router


def run(stage: Stage) -> Findings:
    """One request, passage by passage; then many that wait at the same time."""
    walk, remembered = walk_through(stage)
    count = stage.pick(1000, 100)
    stage.say(f"{count:,} requests at once, in one thread")
    most, per_request, right, threads = wait_together(mail_server, count)
    return Findings(
        shows=f"One request is {len(walk.passages)} passages. {most:,} requests waited for the store at the same time "
        f"in {threads} thread, each remembered by a state and {size(per_request)} of memory.",
        tables=(_passages(walk), remembered),
        plots={
            "machine-state": draw(
                walk, "One request, as states", "the server's connection, and the question to the mail store"
            )
        },
        claims=(
            Claim(
                "machine-remembers",
                f"{most:,} requests waited at once in {threads} thread, with {size(per_request)} each; {right:,} of "
                f"{count:,} got the e-mail that they had asked for",
                verdict(right == count and threads == 1 and most > count / 2, partly=right == count),
                "the state says where each one is, the connection's fields with what: the request, the handler's "
                "frame, what it waits for, what is left to be sent",
            ),
        ),
        figures={
            "passages": len(walk.passages),
            "waited": most,
            "asked": count,
            "right": right,
            "threads": threads,
            "bytes": per_request,
        },
    )


# --- one request


def walk_through(stage: Stage) -> tuple[Walk, Table]:
    """One client's request, passage by passage; and what is remembered of it while the store is asked."""
    walk = Walk(stage)
    with serving(mail_store.serve) as backend, socket.create_server(("127.0.0.1", 0)) as listener:
        store = MailStore(backend.address, walk.observe)
        service = host(listener, mail_server(store), clock=walk.clock, observer=walk.observe)
        walk.loop = service.loop
        with socket.create_connection(listener.getsockname()) as client:
            client.sendall(REQUEST[:10])  # in two pieces, as a slow network has it
            turn_until(service, S.READING_HEAD)
            client.sendall(REQUEST[10:] % 7)
            turn_until(service, S.QUERYING_BACKEND)
            service.loop.turn(1)  # the store accepts
            remembered = _remembered(connections(service)[0])
            turn_until(service, S.AWAITING_REQUEST)
            answer = client.recv(4096).rpartition(b"\r\n")[2].decode()
            stage.say(f"the answer: {answer.strip()}")
        service.loop.turn(1)  # the client's end
        service.loop.close()
    return walk, remembered


def _passages(walk: Walk) -> Table:
    columns = ("after", "machine", "what has happened", "leads to", "where it waits for")
    table = Table("One request", columns, left=frozenset(columns[1:]))
    begun = walk.passages[0][0]
    for at, machine, edge in walk.passages:
        waits = "nothing" if edge.dest.final else edge.dest.spec.waits_for.phrase()
        place = f"{machine.engine.table.name}, fd {machine.descriptor}"
        table.rows.append((duration(at - begun), place, edge.trigger, edge.dest.state, waits))
    return table


def _remembered(connection: Connection) -> Table:
    """What a thread would have on its stack, and where it is here."""
    facts = Facts(*connection.facts())
    columns = ("what is remembered", "in a thread", "in the machine", "just now")
    table = Table("While the store is asked", columns, left=frozenset(columns))
    ago = duration(connection.service.loop.clock() - connection.since)
    table.rows += [
        ("where it is", "the instruction pointer", "state", connection.state),
        ("what was asked", "a local variable", "exchange.request", f"{facts.request.method} {facts.request.target}"),
        ("whom it waits for", "the call that blocks", "exchange.operation", facts.operation.describe()),
        ("what is left to be sent", "an argument of send", "output", f"{len(connection.output)} bytes"),
        ("who asked", "a local variable", "peer", facts.peer),
        ("since when it waits", "nowhere", "since", f"{ago} ago"),
        ("how it came here", "nowhere", "history", " ".join(edge.trigger for _, edge in connection.history)),
    ]
    return table
