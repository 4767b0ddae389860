"""What makes a process a worker: it says ready, beats with its figures, and is ordered about."""

import pytest

from clerestory.server.process.assignment import Assignment
from clerestory.server.process.channel import pair
from clerestory.server.process.membership import Membership, resident
from tests.server.process.test_lifeline import Ordered
from tests.server.support import GET, bench_of, hello

pytestmark = pytest.mark.usefixtures("every_descriptor_back")


def test_it_says_ready_and_is_ordered_about() -> None:
    ours, theirs = pair()
    with bench_of(hello) as bench:
        ordered = Ordered()
        membership = Membership(Assignment(1, 1, theirs.detach(), ()), bench.service, ordered)
        assert membership.sockets() == []
        membership.ready()
        membership.ask_to_drain()
        assert [one["say"] for one in ours.read()[0] if isinstance(one, dict)][:2] == ["ready", "drain"]
        ours.tell({"order": "stop"})
        bench.settle()
        assert ordered.done == ["stop"]
        membership.close()
    ours.close()


def test_its_figures_are_those_of_the_service() -> None:
    ours, theirs = pair()
    with bench_of(hello) as bench:
        membership = Membership(Assignment(1, 1, theirs.detach(), ()), bench.service, Ordered())
        client = bench.connect()
        client.send(GET + GET)
        figures = membership._figures()
        assert figures["requests"] == 2
        assert figures["memory"] == pytest.approx(resident(), rel=0.5)
        assert resident() > 1024 * 1024
    ours.close()


def test_it_says_last_what_was_counted() -> None:
    ours, theirs = pair()
    with bench_of(hello) as bench:
        membership = Membership(Assignment(1, 1, theirs.detach(), ()), bench.service, Ordered())
        membership.tell_last({"counters": {"a": 1}})
        assert ours.read()[0] == [{"say": "last", "counters": {"a": 1}}]
    ours.close()
