"""`GET /events`: what has changed, once a second, as server-sent events.

One look serves all who listen, and one event is made of it. Each is as long as the tables are, whatever the number of
connections. An event that a listener has not taken when the next one is due is not queued: the connection's own bounds
hold it back, and it hears the one after.
"""

import json
from collections.abc import AsyncIterator

from clerestory.handlers.api.errors import HTTPError
from clerestory.handlers.api.messages import Response
from clerestory.server.xray.observe.beats import LISTENERS, Beat, Beats
from clerestory.server.xray.observe.considerate import considerate
from clerestory.server.xray.observe.cut import Cut
from clerestory.server.xray.observe.figures import rates
from clerestory.server.xray.observe.watch import Watch
from clerestory.server.xray.serve.shape import JSON
from clerestory.statemachines.contract import Facts
from clerestory.statemachines.engine import Machine

PATH = "/events"

_TYPE = ((b"content-type", b"text/event-stream; charset=utf-8"),)


class Events:
    """Those who listen to `watch`, once a beat."""

    def __init__(self, watch: Watch, beats: Beats) -> None:
        self._watch = watch
        self._beats = beats
        self._made = (0, 0.0)
        """Of which cut the event is: its turn and time. The cut itself would hold every machine that it saw."""
        self._event = b""
        self._before: tuple[float, dict[str, list[int]]] | None = None

    def answer(self) -> Response:
        """A response that goes on forever. Raises HTTPError 503 when too many listen."""
        if self.listeners() > LISTENERS:  # the one that asks is among them
            retry = ((b"retry-after", b"5"),)
            raise HTTPError(503, f"{LISTENERS} listen already: close another page, or ask for /snapshot.json.", retry)
        return Response(self._stream(), 200, _TYPE)

    def listeners(self) -> int:
        """How many of our connections are being answered with events."""
        return sum(map(_listens, self._watch.ours.machines.values()))

    async def _stream(self) -> AsyncIterator[bytes]:
        yield b"retry: 2000\n\n" + self._made_of(await self._watch.look())
        while True:
            yield self._made_of(await Beat(self._beats))

    def _made_of(self, cut: Cut) -> bytes:
        """The event of a cut, made once."""
        if self._made != (cut.turns, cut.now):
            self._made = cut.turns, cut.now
            with considerate():
                self._event = self._make(cut)
        return self._event

    def _make(self, cut: Cut) -> bytes:
        self._watch.see_engines()
        return self._written(cut, self._watch.summary(cut, rows=False))

    def _written(self, cut: Cut, document: JSON) -> bytes:
        """The event with that document, and its rates."""
        edges = document["edges"]
        before, self._before = self._before, (cut.now, edges)
        seconds = cut.now - before[0] if before is not None else 0.0
        document["rates"] = rates(before[1], edges, seconds) if before is not None and seconds > 0.1 else {}
        data = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
        return f"event: beat\nid: {self._beats.number}\ndata: {data}\n\n".encode()


def _listens(machine: Machine) -> bool:
    request = Facts(*machine.facts()).request
    return request is not None and request.path == PATH
