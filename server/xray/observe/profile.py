"""The profile of waiting: for each route how long its requests took, and what they waited for.

Every exchange is added at its end, from what the engine has noted anyway: the seconds that the connection spent in each
state, and those that its operations waited (server.connection.waiting). No clock is read. Requests of one route are
kept apart by their duration, in classes of a quarter of an octave, so that it can be told what the median's and the
slowest hundredth's requests waited for: that is rarely the same.

What `waits` and the page tell is of the last five to ten minutes: of this window and the one before it. What /metrics
tells is of all time; it is kept as counts only.

Above a thousand requests a second, of those that were quick one in 16 or 32 is added, for all of them
(server.xray.observe.sampler): then counts are estimates. The slowest, up to a sixteenth, are all added.

Bounds: ROUTES routes, the rest together; CLASSES classes of duration; MOST things waited for in each; EXAMPLES slow
requests of each route and window. At all bounds that is some 30 MiB, in practice well below one.
"""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import frexp, inf
from typing import Any

from clerestory.handlers.router import UNMATCHED
from clerestory.server.observer import Answered, Carrier
from clerestory.server.xray.observe.routes import OTHER, Names
from clerestory.server.xray.observe.shares import (
    ELSEWHERE,
    IDLE,
    LEAST,
    QUERYING,
    SENDING,
    Counts,
    Line,
    Share,
    Waited,
    add_others,
    key_of,
)
from clerestory.statemachines.connection import State as S
from clerestory.statemachines.engine import Edge

ROUTES = 100
"""Routes told apart: more than a person reads, and than most applications have."""

CANDIDATES = 1000
"""Routes counted besides, so that the busiest ones can take the place of others when a window ends."""

WINDOW = 300.0
"""Seconds of a window: what happened lately, and enough requests for a hundredth of them to mean something."""

MOST = 48
"""Things waited for that are told apart in one class of durations of one route."""

EXAMPLES = 3
"""Slow requests of a route that are kept with their whole path, in each window."""

_NO_LINES: dict[Any, int] = {}

TOLD = 64
"""Requests kept that were told as slow (--slow), whatever their route: the latest."""

_UNKNOWN = (400, 404, 405, 501)
"""Statuses of what nothing is there for: where no route is known, such requests are one route. Else a scanner would
fill all the places."""


@dataclass(frozen=True, slots=True)
class Example:
    """A slow request, kept with its path."""

    id: str
    peer: str
    method: str
    target: str
    status: int | None
    ended_at: float
    seconds: float
    spent: list[float]
    waits: dict[Waited, float]
    lines: dict[Line, int]
    path: tuple[tuple[float, Edge], ...]


class Route:
    """One route: its shares of this window and of the one before, and its counts of all time."""

    __slots__ = ("bar", "before", "counts", "examples", "kept", "name", "shares", "sums", "window")

    def __init__(self, name: str, window: int) -> None:
        self.name = name
        self.window = window
        """The number of the window that `shares` belongs to."""
        self.shares: dict[int, Share] = {}
        self.before: dict[int, Share] = {}
        self.examples: list[Example] = []
        self.kept: list[Example] = []
        """Those of the window before."""
        self.bar = 0.0
        """Seconds from which on a request is a further example."""
        self.counts: dict[int, int] = {}
        """Requests by `key_of`, of all windows but these two."""
        self.sums: dict[int, float] = {}
        """Their seconds, by class of status."""

    def turn(self, window: int) -> None:
        """A new window has begun."""
        last = self.window == window - 1
        self._retire(self.before)
        if not last:
            self._retire(self.shares)
        self.before, self.shares = self.shares if last else {}, {}
        self.kept, self.examples = self.examples if last else [], []
        self.window, self.bar = window, 0.0

    def _retire(self, shares: dict[int, Share]) -> None:
        for key, share in shares.items():
            self.counts[key] = self.counts.get(key, 0) + share.count
            self.sums[key & 7] = self.sums.get(key & 7, 0.0) + share.total

    def recent(self, window: int) -> int:
        """Requests of that window."""
        return sum(share.count for share in self.shares.values()) if self.window == window else 0

    def absorb(self, other: "Route") -> None:
        """Take over the counts of a route that is told apart no longer."""
        other.turn(other.window + 2)
        for key, count in other.counts.items():
            self.counts[key] = self.counts.get(key, 0) + count
        for status, seconds in other.sums.items():
            self.sums[status] = self.sums.get(status, 0.0) + seconds

    def totals(self) -> tuple[dict[int, int], dict[int, float]]:
        """Counts by `key_of`, and seconds by class of status, of all time. For any thread."""
        counts, sums = self.counts.copy(), self.sums.copy()
        for shares in (self.before.copy(), self.shares.copy()):
            for key, share in shares.items():
                counts[key] = counts.get(key, 0) + share.count
                sums[key & 7] = sums.get(key & 7, 0.0) + share.total
        return counts, sums


class Profile:
    """The routes of one service, and what their requests waited for. Written by the loop's thread, read by any.

    `began` is the loop's time now. `samples` has, by a connection's number and its request's, the lines of the
    application that were seen to wait for that request (server.xray.observe.sampler).
    """

    def __init__(self, began: float, window: float = WINDOW) -> None:
        self.began = began
        self.length = window
        self.until = began + window
        self.window = 0
        self.slow = inf
        """Seconds from which on a request is told by `tell_slow`, and kept among those `told`."""
        self.alone = 0
        """Requests ever added that stand for no other."""
        self.tell_slow: Callable[[Example], object] = lambda _: None
        self.told: deque[tuple[Route, Example]] = deque(maxlen=TOLD)
        self.names = Names()
        self.prefix = ""
        """What the ids of this run's requests begin with."""
        self.upstreams: dict[str, Counts] = {}
        """By upstream, how long requests have waited for it: in this window, which is begun with half of the last."""
        self.routes: dict[str, Route] = {}
        self.other = Route(OTHER, 0)
        self.samples: dict[tuple[int, int], dict[Line, int]] = {}
        self._known: dict[str, dict[str, Route]] = {}
        self._candidates: dict[str, int] = {}

    def add(self, connection: Carrier, exchange: Answered, skipped: int) -> None:
        """As server.observer.ExchangeEnded."""
        request = exchange.request
        if request is None:
            return  # it was refused before it was one: the log and the counts of ends tell
        if connection.since >= self.until:
            self._begin_window(connection.since)
        response = exchange.response if exchange.head is not None else None
        status = response.status if response is not None else 0
        method, path = request.method, request.route or request.path
        if request.base and not request.route:
            path = request.base + path
        if status in _UNKNOWN and not request.route:
            path = UNMATCHED
        if path == UNMATCHED:
            method = ""
        known = self._known.get(method)
        route = known.get(path) if known is not None else None
        if route is None:
            route = self._find(method, path, is_route=bool(request.route))
        if route.window != self.window:
            route.turn(self.window)
        spent = connection.times()
        seconds = sum(spent) - spent[IDLE]
        if seconds <= 0.0:
            seconds = LEAST
        mantissa, exponent = frexp(seconds)  # key_of, without the call
        key = (4 * exponent + int(8.0 * mantissa)) << 3 | (status // 100 if status < 600 else 0)
        share = route.shares.get(key)
        if share is None:
            share = route.shares[key] = Share()
        querying, sending, waits = spent[QUERYING], spent[SENDING], exchange.waits
        weight = skipped + 1
        if not skipped:
            self.alone += 1
        share.count += weight
        share.total += seconds * weight
        share.querying += querying * weight
        share.sending += sending * weight
        if seconds - querying - sending > LEAST:
            add_others(share.other, spent, weight)
        if waits is not None:
            for waited, stay in waits.of.items():
                if waited[1][:9] == "upstream ":
                    self._count(waited[1], stay, weight)
                _add(share.waits, waited, (waited[0], ELSEWHERE), stay * weight)
        lines = self._lines(connection) if self.samples else _NO_LINES
        if lines:
            for line, count in lines.items():
                _add(share.lines, line, (line[0], line[1], ""), count * weight)
        if seconds > route.bar:
            self._keep(route, connection, exchange, seconds, lines)
        if seconds >= self.slow:
            example = example_of(connection, exchange, seconds, lines)
            self.told.append((route, example))
            self.tell_slow(example)

    def _count(self, upstream: str, seconds: float, weight: int) -> None:
        """So many requests have waited so long for an upstream."""
        counts = self.upstreams.get(upstream)
        if counts is None:
            counts = self.upstreams[upstream] = Counts()
        key = key_of(max(seconds, LEAST), 0)
        counts[key] = counts.get(key, 0) + weight

    def _lines(self, connection: Carrier) -> dict[Line, int]:
        """The lines that were seen of this exchange."""
        return self.samples.pop((connection.number, connection.requests), _NO_LINES)

    def _keep(
        self, route: Route, connection: Carrier, exchange: Answered, seconds: float, lines: dict[Line, int]
    ) -> None:
        """Keep it as an example, in the place of the fastest."""
        example = example_of(connection, exchange, seconds, lines)
        examples = sorted([*route.examples, example], key=lambda one: -one.seconds)[:EXAMPLES]
        route.examples = examples
        if len(examples) == EXAMPLES:
            route.bar = examples[-1].seconds

    # --- which routes are told apart

    def _find(self, method: str, path: str, *, is_route: bool) -> Route:
        name = f"{method} {path if is_route else self.names.folded(path)}".lstrip()
        route = self.routes.get(name)
        if route is None and len(self.routes) < ROUTES:
            route = self.routes[name] = Route(name, self.window)
        if route is None:
            if name in self._candidates or len(self._candidates) < CANDIDATES:
                self._candidates[name] = self._candidates.get(name, 0) + 1
            return self.other
        known = self._known.setdefault(method, {})
        if len(known) >= CANDIDATES:
            known.clear()
        known[path] = route
        return route

    def _begin_window(self, now: float) -> None:
        """Begin the window that `now` is in. Routes that were asked less than others take their place with the rest."""
        windows = int((now - self.until) / self.length) + 1
        busy = sorted(self._candidates.items(), key=lambda one: -one[1])
        quiet = sorted(self.routes.values(), key=lambda one: one.recent(self.window))
        for (name, count), route in zip(busy, quiet, strict=False):
            if count <= route.recent(self.window):
                break
            self.other.absorb(route)
            del self.routes[route.name]
            self.routes[name] = Route(name, self.window + windows)
            self._known.clear()
        self._candidates.clear()
        for name, counts in self.upstreams.items():
            self.upstreams[name] = Counts({key: count // 2 for key, count in counts.items() if count > 1})
        self.window += windows
        self.until += windows * self.length

    # --- reading

    def seconds(self, now: float) -> float:
        """How long what is told lasts by now: this window and the one before it."""
        begun = self.until - self.length * (2 if self.window else 1)
        if now >= self.until:
            begun += self.length
        return max(0.0, now - max(begun, self.began))

    def all(self) -> Iterator[Route]:
        """Every route, and the rest together."""
        yield from list(self.routes.values())
        yield self.other

    def shares_of(self, route: Route, now: float) -> list[tuple[int, Share]]:
        """The shares that are told, by their classes of duration."""
        current = self.window + (int((now - self.until) / self.length) + 1 if now >= self.until else 0)
        told: list[tuple[int, Share]] = []
        if route.window == current:
            told += [*route.shares.copy().items(), *route.before.copy().items()]
        elif route.window == current - 1:
            told += route.shares.copy().items()
        return sorted(told, key=lambda one: one[0])

    def examples_of(self, route: Route, now: float) -> list[Example]:
        """The examples that are told, the slowest first."""
        current = self.window + (int((now - self.until) / self.length) + 1 if now >= self.until else 0)
        found = [*route.examples, *route.kept] if route.window == current else []
        if route.window == current - 1:
            found = list(route.examples)
        found += (one for of, one in list(self.told) if of is route)
        return sorted({one.id: one for one in found}.values(), key=lambda one: -one.seconds)

    def example(self, id: str) -> Example | None:  # noqa: A002
        """The example of that request, if it is kept. What the ids of this run begin with may be left out."""
        wanted = (id, self.prefix + id)
        for route in self.all():
            for one in (*route.examples, *route.kept):
                if one.id in wanted:
                    return one
        return next((one for _, one in list(self.told) if one.id in wanted), None)


def example_of(connection: Carrier, exchange: Answered, seconds: float, lines: dict[Line, int]) -> Example:
    """An exchange that has ended, with its path: the transitions since it began."""
    request, response = exchange.request, exchange.response if exchange.head is not None else None
    history = connection.history
    begun = max((at for at, (_, edge) in enumerate(history) if edge.source.state is S.AWAITING_REQUEST), default=0)
    return Example(
        request.id if request is not None else connection.request_id(),
        connection.peer,
        request.method if request is not None else "",
        request.target if request is not None else "",
        response.status if response is not None else None,
        connection.since,
        seconds,
        connection.times(),
        dict(exchange.waits.of) if exchange.waits is not None else {},
        lines,
        tuple(history[begun:]),
    )


def _add(into: dict[Any, Any], key: Any, otherwise: Any, amount: float) -> None:
    """Add to the sum of `key`, or of `otherwise` where there are MOST already."""
    if key not in into and len(into) >= MOST:
        key = otherwise
    into[key] = into.get(key, 0) + amount
