"""`GET /events`: what has changed, once a second, as server-sent events.

One look serves all who listen, and one event is made of it. Each is as long as the tables are, whatever the number of
connections. An event that a listener has not taken when the next one is due is not queued: the connection's own bounds
hold it back, and it hears the one after.
"""

import json
from collections.abc import AsyncIterator

from handlers.errors import HTTPError
from handlers.messages import Response
from server.xray.beats import LISTENERS, Beat, Beats
from server.xray.considerate import considerate
from server.xray.cut import Cut
from server.xray.figures import rates
from server.xray.watch import Watch

_TYPE = ((b"content-type", b"text/event-stream; charset=utf-8"),)


class Events:
    """Those who listen to `watch`, once a beat."""

    def __init__(self, watch: Watch, beats: Beats) -> None:
        self._watch = watch
        self._beats = beats
        self._cut: Cut | None = None
        self._event = b""
        self._before: tuple[float, dict[str, list[int]]] | None = None

    def answer(self) -> Response:
        """A response that goes on for ever. Raises HTTPError 503 when too many listen."""
        if self._beats.listeners >= LISTENERS:
            retry = ((b"retry-after", b"5"),)
            raise HTTPError(503, f"{LISTENERS} listen already: close another page, or ask for /snapshot.json.", retry)
        return Response(self._stream(), 200, _TYPE)

    async def _stream(self) -> AsyncIterator[bytes]:
        self._beats.listeners += 1
        try:
            yield b"retry: 2000\n\n" + self._made_of(await self._watch.look())
            while True:
                yield self._made_of(await Beat(self._beats))
        finally:
            self._beats.listeners -= 1
            if not self._beats.listeners:
                self._cut = None  # it holds every machine that it saw

    def _made_of(self, cut: Cut) -> bytes:
        """The event of a cut, made once."""
        if cut is not self._cut:
            self._cut = cut
            with considerate():
                self._event = self._make(cut)
        return self._event

    def _make(self, cut: Cut) -> bytes:
        self._watch.see_engines()
        document = self._watch.summary(cut, rows=False)
        edges = document["edges"]
        before, self._before = self._before, (cut.now, edges)
        seconds = cut.now - before[0] if before is not None else 0.0
        document["rates"] = rates(before[1], edges, seconds) if before is not None and seconds > 0.1 else {}
        data = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
        return f"event: beat\nid: {self._beats.number}\ndata: {data}\n\n".encode()
