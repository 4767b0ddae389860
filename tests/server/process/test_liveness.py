"""The watchdog: it beats while the loop turns, and tells where one stands that does not."""

import threading
from typing import Any, Self

import pytest

from clerestory.server.loop.loop import Loop
from clerestory.server.loop.poller import open_poller
from clerestory.server.process.channel import Channel, pair
from clerestory.server.process.liveness import JITTER, Liveness
from tests.support.waiting import eventually

pytestmark = pytest.mark.usefixtures("every_descriptor_back")


class Watched:
    """A real loop on a thread, and a watchdog."""

    def __init__(self, figures: dict[str, Any], **bounds: Any) -> None:
        self.ours, theirs = pair()
        self.theirs = Channel(theirs)
        self.loop = Loop(open_poller("auto"), lambda *_: None)
        self.liveness = Liveness(self.loop, self.theirs, lambda: figures, **bounds)
        self.liveness._interval = 0.02
        self.thread = threading.Thread(target=self.loop.run)
        self.said: list[Any] = []

    def __enter__(self) -> Self:
        self.thread.start()
        self.liveness.begin()
        return self

    def __exit__(self, *_: object) -> None:
        self.liveness.end()
        self.loop.call_from_thread(self.loop.stop)
        self.thread.join()
        self.loop.close()
        self.ours.close()
        self.theirs.close()

    def wait_for(self, said: str) -> dict[str, Any]:
        def found() -> list[dict[str, Any]]:
            self.said += self.ours.read()[0]
            return [one for one in self.said if one["say"] == said]

        return eventually(found)[0]

    def count(self, said: str) -> int:
        return sum(one["say"] == said for one in self.said)


def test_it_beats_with_figures() -> None:
    with Watched({"requests": 3, "memory": 5}) as watched:
        eventually(lambda: watched.wait_for("beat") and {"say": "beat", "requests": 3, "memory": 5} in watched.said)
        assert watched.count("blocked") == watched.count("recycle") == 0


def test_a_loop_that_stands_still_is_told_with_its_stack() -> None:
    with Watched({"requests": 0, "memory": 0}, blocked=0.1) as watched:
        watched.wait_for("beat")
        over = threading.Event()

        def standing_still_here() -> None:
            over.wait(20)

        watched.loop.call_from_thread(standing_still_here)
        blocked = watched.wait_for("blocked")
        over.set()
    assert any("standing_still_here" in line for line in blocked["stack"])
    assert blocked["seconds"] >= 0.1


def test_a_loop_that_waits_is_not_blocked() -> None:
    """Hardly anything to do is no standstill."""
    with Watched({"requests": 0, "memory": 0}, blocked=0.04) as watched:
        for _ in range(5):
            watched.said.clear()
            watched.wait_for("beat")
        assert watched.count("blocked") == 0


@pytest.mark.parametrize(
    ("figures", "why"), [({"requests": 200, "memory": 1}, "200"), ({"requests": 1, "memory": 900}, "900")]
)
def test_who_has_served_or_grown_enough_asks_once_to_be_replaced(figures: dict[str, int], why: str) -> None:
    with Watched(figures, requests=100, memory=500) as watched:
        assert why in watched.wait_for("recycle")["why"]
        watched.wait_for("beat")
        assert watched.count("recycle") == 1


def test_the_number_of_requests_has_a_jitter() -> None:
    """Workers that were started together are not all replaced together."""
    ours, theirs = pair()
    loop = Loop(open_poller("auto"), lambda *_: None)
    found = {Liveness(loop, ours, dict, requests=10_000)._requests for _ in range(50)}
    assert len(found) > 1
    assert all(10_000 <= one <= 10_000 * (1 + JITTER) for one in found)
    loop.close()
    ours.close()
    theirs.close()
