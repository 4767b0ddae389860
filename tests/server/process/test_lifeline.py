"""A worker's end of the channel: it does what it is ordered, and drains when its supervisor has gone."""

from collections.abc import Iterator

import pytest

from clerestory.server.process.channel import Channel, pair
from clerestory.server.process.lifeline import Lifeline
from tests.server.support import Bench, bench_of, hello

pytestmark = pytest.mark.usefixtures("every_descriptor_back")


class Ordered:
    def __init__(self) -> None:
        self.done: list[str] = []

    def retire(self, *, last: bool) -> None:
        self.done.append("drain" if last else "retire")

    def end_now(self) -> None:
        self.done.append("stop")


@pytest.fixture
def ends() -> Iterator[tuple[Bench, Channel, Ordered]]:
    with bench_of(hello) as bench:
        ours, theirs = pair()
        ordered = Ordered()
        bench.loop.add(Lifeline(bench.loop, bench.logs, ordered, theirs.detach()))
        yield bench, ours, ordered
        ours.close()


def test_orders_are_done_in_their_order(ends: tuple[Bench, Channel, Ordered]) -> None:
    bench, ours, ordered = ends
    for order in ("retire", "nonsense", "drain", "stop"):
        ours.tell({"order": order})
    bench.settle()
    assert ordered.done == ["retire", "drain", "stop"]


def test_without_a_supervisor_it_drains_as_the_last(ends: tuple[Bench, Channel, Ordered]) -> None:
    bench, ours, ordered = ends
    ours.close()
    bench.settle()
    assert ordered.done == ["drain"]
    assert [event["event"] for event in bench.logs.events] == ["supervisor_gone"]
