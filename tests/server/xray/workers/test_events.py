"""The event of all workers is made once for all who listen; what it says is in test_site."""

from typing import Any

from clerestory.server.xray.observe.beats import Beats
from clerestory.server.xray.observe.cut import Cut
from clerestory.server.xray.workers.events import WorkersEvents
from clerestory.server.xray.workers.workers import Workers
from tests.server.support import bench_of, hello
from tests.server.xray.support import cut_of, watch_of


def test_an_event_of_one_cut_is_made_once() -> None:
    with bench_of(hello) as bench:
        watch = watch_of(bench)
        asked: list[Cut] = []

        class Counted(Workers):
            async def summary(self, cut: Cut, *, rows: bool = True) -> dict[str, Any]:
                asked.append(cut)
                return self.watch.summary(cut, rows=rows)

        events = WorkersEvents(Counted(watch), Beats(bench.loop, bench.loop))

        def told(cut: Cut) -> Any:
            gathered = events._gathered(cut)
            try:
                gathered.send(None)
            except StopIteration as done:
                return done.value
            raise AssertionError("it waits")

        cut = cut_of(bench)
        assert told(cut) is told(cut)
        assert asked == [cut]
        bench.after(1.0)
        other = cut_of(bench)
        told(other)
        assert asked == [cut, other]
