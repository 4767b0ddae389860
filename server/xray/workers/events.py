"""`GET /events` of a supervisor's x-ray: once a second, what has changed in all workers together."""

from collections.abc import AsyncIterator

from clerestory.server.xray.observe.beats import Beat, Beats
from clerestory.server.xray.observe.considerate import considerate
from clerestory.server.xray.observe.cut import Cut
from clerestory.server.xray.serve.events import Events
from clerestory.server.xray.workers.workers import Workers


class WorkersEvents(Events):
    """Those who listen to `workers`."""

    def __init__(self, workers: Workers, beats: Beats) -> None:
        super().__init__(workers.watch, beats)
        self._workers = workers

    async def _stream(self) -> AsyncIterator[bytes]:
        yield b"retry: 2000\n\n" + await self._gathered(await self._watch.look())
        while True:
            yield await self._gathered(await Beat(self._beats))

    async def _gathered(self, cut: Cut) -> bytes:
        """The event of a cut. Each who listens asks; the first answer is everybody's."""
        if self._made != (cut.turns, cut.now):
            document = await self._workers.summary(cut, rows=False)
            if self._made != (cut.turns, cut.now):
                self._made = cut.turns, cut.now
                with considerate():
                    self._event = self._written(cut, document)
        return self._event
