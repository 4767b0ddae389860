"""A client's connection in a world, with the exchange that it carries: what its table leaves to its shell.

For each connection, with its number behind the name:

    left    requests that the client may still send
    acc     a request was accepted, and is neither answered nor is its connection closed
    begun   the response has begun
    more    pieces of the response to come
    keep    the response leaves the connection open
    op      the handler waits for an operation
    news    an operation has ended, and the handler has not gone on
    body    pieces of the request's body to come
    fed     the operation takes the request's body
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from clerestory.statemachines import connection
from proof.world import Always, Event, Eventually, Part, Way, closable, orders


class Client(NamedTuple):
    """A connection, its variables, and what is promised of it."""

    part: Part
    variables: dict[str, int]
    always: list[Always]
    eventually: list[Eventually]


class Backend(NamedTuple):
    """What a handler waits for: how it may `start` an operation or go on with its outcome (`resumed`), how it lets it
    go (`leave`), what it is given of the request's body (`given`), where its response comes in pieces (`produced`)."""

    start: Sequence[Way]
    leave: str
    resumed: Sequence[Way] = ()
    given: str = ""
    produced: Sequence[Way] = ()


Described = dict[str | tuple[str, str], Sequence[Way]]
"""Ways of methods, as Ways; one may be added to another."""

_NOTHING = Backend((), "pass")


TOLD = """
if op#:
    op# = 0
    news# = 1
    offer(c#, BACKEND_ANSWERED)
"""
"""The operation of a connection has ended: Exchange.finished. For `choose`."""


def notify(i: int) -> str:
    """TOLD, for connection `i`."""
    return TOLD.replace("#", str(i))


def indent(text: str, by: int = 1) -> str:
    """`text` as the body of an `if`."""
    lines = [line for line in text.strip("\n").splitlines() if line.strip()]
    return "\n".join("    " * by + line for line in lines) + "\n"


def choose(clients: int, when: str, do: str) -> str:
    """`do` for the first client for which `when` holds. In both, # stands for its index, @ for its number."""

    def of(text: str, i: int) -> str:
        return text.replace("#", str(i)).replace("@", str(i + 1))

    return "".join(f"{'el' * (i > 0)}if {of(when, i)}:\n{indent(of(do, i))}" for i in range(clients))


OWNS = "owner == @"
WAITS = "alive(s#)"


def answers(i: int, when: str = "True", do: str = "", *, more: int = 0) -> list[Way]:
    """The handler answers: the response may leave the connection open, or not."""
    return [Way("OUTPUT_READY", f"{do}\nbegun{i} = 1\nkeep{i} = {keep}\nmore{i} = {more}\n", when) for keep in (0, 1)]


def stranger(i: int, ended: str, renewed: str) -> Client:
    """Connection `i`, of which nothing is known but its table: its handler and its client do anything. For traces."""
    told = ("BACKEND_ANSWERED", "BODY_REQUESTED", "TLS_EXPECTED", "TUNNEL_ENDED", "TUNNEL_BROKEN", "ROOM_WANTED")
    outside = [
        orders(f"c{i}"),
        *(Event("peers", f"heeds(c{i}, {one})", "", f"c{i}", one, f"c{i}: is told {one}") for one in told),
    ]
    part = Part(f"c{i}", connection.TABLE, False, {"renew": [Way("", renewed)]}, {}, ended, outside=outside)
    return Client(part, {f"left{i}": 0}, [], [])


def client(
    i: int,
    backend: Backend = _NOTHING,
    *,
    requests: int = 1,
    body: int = 0,
    bodies: Sequence[int] = (),
    pieces: int = 0,
    born: bool = True,
    ended: str = "",
    renewed: str = "",
) -> Client:
    """Connection `i`, whose client sends at most `requests` requests with `body` pieces each, or as many as `bodies`
    says; a response that no backend produces has up to `pieces` of its own."""
    leave = f"op{i} = 0\nnews{i} = 0\nfed{i} = 0\nmore{i} = 0\n{backend.leave}\n"
    over = f"{leave}begun{i} = 0\nkeep{i} = 0\nbody{i} = 0\nacc{i} = 0\n"
    takes = f"fed{i} and body{i} > 0"
    own = [way for size in range(pieces + 1) for way in answers(i, more=size)]
    ways: Described = {
        **_reading(i, {0, body, *bodies}),
        **_handling(i, backend, own, takes),
        **_writing(i, leave, takes),
        "renew": [Way("", f"{over}{renewed}")],
        "half_close": [Way("", over), Way("PEER_RESET", over)],
    }
    guards = {
        "has_begun_response": f"begun{i} == 1",
        "has_more_output": f"more{i} > 0",
        "may_keep_alive": f"begun{i} and keep{i} and body{i} == 0",
        "has_switched": "False",
        "awaits_body": f"begun{i} == 0",
        "body_is_taken": f"{takes}",
    }
    outside = (
        orders(f"c{i}"),
        Event("operator", f"heeds(c{i}, ROOM_WANTED)", "", f"c{i}", "ROOM_WANTED", f"c{i}: makes room"),
    )
    part = Part(f"c{i}", connection.TABLE, born, ways, guards, f"{over}{ended}", outside=outside)
    names = ("acc", "begun", "more", "keep", "op", "news", "body", "fed")
    variables = {f"left{i}": requests} | {f"{name}{i}": 0 for name in names}
    return Client(part, variables, _always(i), _eventually(i))


def _reading(i: int, bodies: Iterable[int]) -> Described:
    """Heads and pieces of bodies come."""
    come = [f"left{i} -= 1\nacc{i} = 1\nbody{i} = {size}\n" for size in sorted(bodies)]
    piece = [Way("BODY_RECEIVED", f"body{i} -= 1", f"body{i} > 0"), Way("BODY_REFUSED"), Way("PEER_RESET")]
    return {
        "read_head": [
            *(Way("HEAD_RECEIVED", do, f"left{i} > 0") for do in come),
            Way("HEAD_STARTED", when=f"left{i} > 0"),
            Way("HEAD_REFUSED", f"left{i} -= 1\nacc{i} = 1", f"left{i} > 0"),
            Way("PEER_CLOSED"),
            Way("PEER_RESET"),
        ],
        "read_body": piece,
        "take_body": [*piece, Way(), Way("CONTINUE_HELD_UP", when=f"begun{i} == 0")],
        "take_aside": [*piece[:2], Way()],
        "send_and_read": [*piece, Way("OUTPUT_FLUSHED"), Way("RESPONSE_BROKEN"), Way("PEER_RESET")],
    }


def _handling(i: int, backend: Backend, own: Sequence[Way], takes: str) -> Described:
    """The handler begins, goes on, and takes the request's body."""
    on = [*own, *backend.start]
    wants = [Way("BODY_REQUESTED", when=f"body{i} > 0 and not fed{i}")]
    has_news = f"news{i} == 1"
    going = [
        Way(when=f"news{i} == 0"),
        Way("DEADLINE_PASSED"),
        *(Way(way.hands, f"news{i} = 0\n{way.do}", f"{has_news} and ({way.when})") for way in (*own, *backend.resumed)),
        *(Way(way.hands, f"news{i} = 0\n{way.do}", f"{has_news} and ({way.when})") for way in wants),
        Way("RESPONSE_BROKEN", f"news{i} = 0", f"{has_news} and begun{i}"),
    ]
    produced = backend.produced or [
        Way("OUTPUT_READY", f"more{i} -= 1", f"more{i} > 0"),
        Way("RESPONSE_BROKEN"),
        Way("DEADLINE_PASSED"),
    ]
    given = [
        Way("BACKEND_ANSWERED", backend.given, f"fed{i} and news{i}"),
        Way("BODY_REQUESTED", backend.given, takes),
        Way("", backend.given, f"fed{i} == 1"),
        *(Way(way.hands, way.do, f"not fed{i} and ({way.when})") for way in (*on, *wants)),
        Way("RESPONSE_BROKEN", when=f"begun{i} == 1"),
    ]
    return {
        "call_handler": [*on, *wants],
        "resume_handler": going,
        "await_body": [Way("BACKEND_ANSWERED", when=has_news), Way(when=f"news{i} == 0")],
        "give_body": given,
        "give_aside": [Way("BODY_REQUESTED", backend.given, takes), Way("", backend.given)],
        "produce_output": produced,
    }


def _writing(i: int, leave: str, takes: str) -> Described:
    """The response goes out."""
    refusal = f"{leave}begun{i} = 1\nkeep{i} = 0\n"
    refused = [Way("OUTPUT_FLUSHED", refusal), Way("PEER_RESET", refusal), Way("", refusal)]
    written = [
        Way("OUTPUT_FLUSHED"),
        Way(),
        Way("PEER_RESET"),
        Way("RESPONSE_BROKEN", when=f"begun{i} == 1"),
        Way("BODY_REQUESTED", when=f"begun{i} and {takes}"),
    ]
    return {"write": written, "queue_output": written, "refuse": refused, "refuse_late": refused}


def _always(i: int) -> list[Always]:
    return [
        *closable(f"c{i}"),
        Always(
            f"a handler that rests awaits an operation ({i})",
            f"not at(c{i}, QUERYING_BACKEND, PRODUCING, HALF_CLOSED) or op{i}",
        ),
        Always(f"a request is accepted on a connection that is there ({i})", f"not acc{i} or alive(c{i})"),
        Always(
            f"between two requests nothing is left of the last ({i})", f"not at(c{i}, AWAITING_REQUEST) or not acc{i}"
        ),
        Always(f"an operation is awaited only in an exchange ({i})", f"not op{i} or acc{i}"),
        Always(f"the pieces of a response have begun ({i})", f"not at(c{i}, PRODUCING) or begun{i}"),
    ]


def _eventually(i: int) -> list[Eventually]:
    what = f"an accepted request is answered, refused, or its connection closed ({i})"
    return [Eventually(what, f"acc{i}", f"not acc{i}")]
