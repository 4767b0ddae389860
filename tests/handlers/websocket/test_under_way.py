"""Which handlers with WebSockets are under way on a loop."""

from clerestory.handlers.websocket.under_way import Conversations, conversations_on
from tests.handlers.running import FakeLoop


class Talks:
    drained = 0

    def drain(self) -> None:
        self.drained += 1


def test_a_loop_has_one_of_them() -> None:
    loop = FakeLoop()
    assert conversations_on(loop) is conversations_on(loop)  # type: ignore[arg-type]


def test_a_drain_tells_all_and_each_end_is_told() -> None:
    conversations, ends, one, other = Conversations(), list[int](), Talks(), Talks()
    conversations.runs |= {one, other}
    conversations.on_run_ended = lambda: ends.append(len(conversations.runs))
    conversations.drain()
    assert (one.drained, other.drained) == (1, 1)
    conversations.ended(one)
    conversations.ended(other)
    assert ends == [1, 0]
