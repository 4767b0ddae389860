"""Which machines of a cut are wanted, and in what order: `state=&older=&peer=&path=&kind=&sort=&limit=&offset=`.

They are chosen from the cut itself, before a word is made of them: of 10,000 connections a page wants a hundred.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from clerestory.handlers.api.errors import HTTPError
from clerestory.server.xray.observe.cut import Cut
from clerestory.server.xray.observe.seen import Seen
from clerestory.server.xray.observe.snapshot import due, identity_of
from clerestory.statemachines.connection import State as S
from clerestory.statemachines.contract import Facts
from clerestory.statemachines.engine import Machine, Node
from clerestory.statemachines.tables import CARRIERS, STREAM, TABLES

MOST = 20_000
"""Rows in one answer: as many connections as one process is likely to hold."""

USUAL = 100
"""Rows in one answer, unless asked otherwise: more than a person reads."""

_SECONDS = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)([smh]?)", re.ASCII)

_IDENTITY = re.compile(r"[0-9]{1,20}(?:/[0-9]{1,10})?", re.ASCII)

KINDS = {name: tuple(table.states.__members__) for name, table in TABLES.items()}


@dataclass(frozen=True, slots=True)
class Filter:
    """What is wanted. Empty fields want everything; `kind` `*` wants machines of every kind, and `connection` those of
    HTTP/2 as well, with their streams.

    `peer` and `path` are beginnings: of the peer's address, of the request's path. `older` is seconds in the state.
    """

    kind: str = "connection"
    states: frozenset[str] = frozenset()
    older: float = 0.0
    peer: str = ""
    path: str = ""
    sort: str = "wait"
    limit: int = USUAL
    offset: int = 0

    @property
    def narrow(self) -> bool:
        """Whether it leaves anything out but other kinds."""
        return bool(self.states or self.older or self.peer or self.path)

    def matches(self, seen: Seen, now: float) -> bool:
        """Whether a machine is wanted."""
        machine, node, since, fields = seen
        if not self._wants(machine, node) or (self.older and now - since < self.older):
            return False
        if self.peer and not (len(fields) > 1 and fields[1].startswith(self.peer)):
            return False
        return not self.path or _path_begins(Facts(*fields).request, self.path)

    def _wants(self, machine: Machine, node: Node) -> bool:
        """Whether machines of that kind in that state are wanted."""
        if not _includes(self.kind, machine.engine.table.name):
            return False
        return not self.states or node.state in self.states

    def select(self, cut: Cut) -> list[int]:
        """The positions in `cut` of those that are wanted, in order; `limit` and `offset` are not applied."""
        now, seen = cut.now, cut.seen
        found = seen.at(lambda machine, node: self._wants(machine, node))
        if self.older or self.peer or self.path:
            found = [position for position in found if self.matches(seen[position], now)]
        order, turned = self.sort.removeprefix("-"), self.sort.startswith("-")
        if order == "wait":  # the usual one, and the quickest
            idle = set(seen.at(_is_idle))
            found.sort(key=lambda position: (position in idle, seen.since(position)), reverse=turned)
            return _together(found, cut)
        key, descending = ORDERS[order]
        keys = {position: key(seen[position], now) for position in found}
        found.sort(key=keys.__getitem__, reverse=descending != turned)
        return found

    def page(self, found: list[int]) -> list[int]:
        """The stretch of `found` that is asked for."""
        return found[self.offset : self.offset + self.limit]


def _includes(kind: str, name: str) -> bool:
    """Whether machines of the kind `name` are wanted with `kind`."""
    return kind in ("*", name) or (kind == "connection" and name in CARRIERS)


def _is_idle(machine: Machine, node: Node) -> bool:
    """Whether machines of that kind do nothing there."""
    return node is machine.engine.initial or node.state == S.AWAITING_REQUEST


def _together(found: list[int], cut: Cut) -> list[int]:
    """The same, with the streams of a connection behind it, where the first of them stands."""
    seen = cut.seen
    streams = set(seen.at(lambda machine, _: machine.engine.table.name == STREAM))
    if not streams:
        return found
    carriers = set(seen.at(lambda machine, _: machine.engine.table.name in CARRIERS))
    groups: dict[str, list[int]] = {}
    for position in found:
        number = str(seen.fact(position, 0)).partition("/")[0] if position in carriers else f"*{position}"
        group = groups.setdefault(number, [])
        group.insert(len(group) if position in streams else 0, position)
    return [position for group in groups.values() for position in group]


def _path_begins(request: Any, path: str) -> bool:
    """Queries are not looked at: who may not see one could guess it, a character at a time."""
    return request is not None and str(request.target).partition("?")[0].startswith(path)


def _number(seen: Seen, _: float) -> tuple[int, int]:
    number = (seen[3][0] if seen[3] else 0) or seen[0].descriptor
    connection, _slash, stream = str(number).partition("/")
    return int(connection), int(stream or 0)


def _remaining(seen: Seen, now: float) -> float:
    _, node, since, fields = seen
    deadline = due(node, since, Facts(*fields), now)
    return deadline.remaining if deadline is not None else float("inf")


def _fact(position: int) -> Callable[[Seen, float], float]:
    return lambda seen, _: seen[3][position] if len(seen[3]) > position else 0


ORDERS: dict[str, tuple[Callable[[Seen, float], Any], bool]] = {
    "wait": (lambda seen, now: (not _is_idle(seen[0], seen[1]), now - seen[2]), True),
    "seconds": (lambda seen, now: now - seen[2], True),
    "age": (lambda seen, now: now - seen[3][2] if len(seen[3]) > 2 else 0.0, True),
    "remaining": (_remaining, False),
    "bytes_in": (_fact(3), True),
    "bytes_out": (_fact(4), True),
    "requests": (_fact(5), True),
    "state": (lambda seen, _: seen[1].state, False),
    "peer": (lambda seen, _: str(seen[3][1]) if len(seen[3]) > 1 else "", False),
    "id": (_number, False),
}
"""What rows may be sorted by, and whether the largest comes first; a `-` before the name reverses it.

`wait` is `seconds`, but that those who idle, where their machine begins, come after all others: they keep nobody
waiting, and there may be thousands of them."""

PARAMETERS = ("kind", "state", "older", "peer", "path", "sort", "limit", "offset")


def parse(query: str, others: Iterable[str] = ()) -> tuple[Filter, dict[str, str]]:
    """The filter of a query string, and those of its parameters that are among `others`. Raises HTTPError 400."""
    given = _parameters(query, (*PARAMETERS, *others))
    rest = {name: given.pop(name) for name in others if name in given}
    kind = given.get("kind", "connection")
    if kind != "*" and kind not in KINDS:
        raise HTTPError(400, f"kind={kind}: there is no such machine; there are {', '.join(KINDS)}, and * for all.")
    sort = given.get("sort", "wait")
    if sort.removeprefix("-") not in ORDERS:
        raise HTTPError(400, f"sort={sort}: rows are sorted by {', '.join(ORDERS)}; a - before it reverses the order.")
    wanted = Filter(
        kind,
        _states(given.get("state", ""), kind),
        _seconds(given.get("older", "0")),
        given.get("peer", ""),
        _path(given.get("path", "")),
        sort,
        _count("limit", given.get("limit", str(USUAL))),
        _count("offset", given.get("offset", "0")),
    )
    return wanted, rest


def _parameters(query: str, known: Iterable[str]) -> dict[str, str]:
    try:
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=32)
    except ValueError as error:
        raise HTTPError(400, f"The query cannot be read: {error}.") from error
    unknown = [name for name, _ in pairs if name not in known]
    if unknown:
        raise HTTPError(400, f"There is no parameter {unknown[0]}; there are {', '.join(known)}.")
    found: dict[str, str] = {}
    for name, value in pairs:
        found[name] = f"{found[name]},{value}" if name == "state" and name in found else value
    return {name: value for name, value in found.items() if value}


def _states(text: str, kind: str) -> frozenset[str]:
    states = frozenset(text.upper().replace("-", "_").split(",")) - {""}
    known = dict.fromkeys(state for name, names in KINDS.items() if _includes(kind, name) for state in names)
    if not states <= known.keys():
        raise HTTPError(
            400, f"state={min(states - known.keys())}: there is no such state; there are {', '.join(known)}."
        )
    return states


def _path(text: str) -> str:
    if "?" in text:
        raise HTTPError(400, "path= is compared with the path only: queries cannot be searched, they may hold secrets.")
    return text


def _seconds(text: str) -> float:
    match = _SECONDS.fullmatch(text)
    if match is None:
        raise HTTPError(400, f"older={text}: write seconds, such as 30, or 5m, or 2h.")
    return float(match[1]) * {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}[match[2]]


def _count(name: str, text: str) -> int:
    if not (text.isascii() and text.isdecimal()) or len(text) > 6 or int(text) > MOST:
        raise HTTPError(400, f"{name}={text}: write an integer up to {MOST}.")
    return int(text)


_REQUEST = Facts._fields.index("request")


def asked_by(cut: Cut, request_id: str) -> Seen | None:
    """The connection with the request of that id, if it is being answered."""
    requests = ((position, cut.seen.fact(position, _REQUEST)) for position in range(len(cut.seen)))
    return next((cut.seen[at] for at, one in requests if one is not None and one.id == request_id), None)


def named(cut: Cut, identity: str) -> Seen | None:
    """The machine of that name, or the connection with the request of that id, if it is in the cut."""
    kind, _, number = identity.rpartition(":")
    if kind and kind not in KINDS:
        return asked_by(cut, identity)
    kinds = (kind,) if kind else CARRIERS
    found = cut.seen.at(lambda machine, _: machine.engine.table.name in kinds)
    if not kind:
        if _IDENTITY.fullmatch(number) is None:
            return asked_by(cut, identity)
        wanted = number if "/" in number else int(number)
        found = [position for position in found if cut.seen.fact(position, 0) == wanted]
    return next((seen for seen in map(cut.seen.__getitem__, found) if identity_of(seen) == identity), None)
