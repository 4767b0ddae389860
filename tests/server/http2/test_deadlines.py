"""What a stream's deadlines are held against; what they do is told in test_stream."""

from collections.abc import AsyncIterator

import pytest

from clerestory.handlers.api.messages import Request, Response, RouteLimits
from clerestory.server.http2.deadlines import SENDING, WAITING, backend_timeout, has_waited_out, heed, limits_of, pace
from clerestory.statemachines.h2_stream import State as S
from tests.server.http2.support import Peer, head, speaking
from tests.server.support import Pending


def test_a_route_s_own_limits_count() -> None:
    operation = Pending()

    async def handler(request: Request) -> Response:
        request.limits = RouteLimits(backend_timeout=2.0)
        await operation
        return Response(b"")

    with speaking(handler, backend_timeout=50.0) as bench:
        peer = Peer(bench)
        number = peer.begin(head())
        peer.flush()
        stream = peer.streams[number]
        limits = limits_of(stream)
        assert limits is not None
        assert (limits.backend_timeout, backend_timeout(stream)) == (2.0, 2.0)
        assert pace(stream, stream.node) == ((2.0, 0, 0.0), stream.since)
        bench.after(2)
        peer.flush()
        assert peer.answers[number].status == 504


def test_all_the_waiting_for_an_answer_has_a_budget() -> None:
    operations = [Pending() for _ in range(3)]

    async def handler(request: Request) -> Response:
        for one in operations:
            await one
        return Response(b"")

    with speaking(handler, backend_timeout=5.0, handler_total=8.0) as bench:
        peer = Peer(bench)
        number = peer.begin(head())
        peer.flush()
        for one in operations[:2]:
            bench.after(4)
            one.finish()
        bench.settle()
        assert has_waited_out(peer.streams[number], bench.loop.now) if number in peer.streams else True
        peer.flush()
        assert peer.answers[number].status == 504


def test_pieces_without_a_byte_do_not_put_a_deadline_off() -> None:
    operations: list[Pending] = []

    async def pieces() -> AsyncIterator[bytes]:
        yield b"a"
        while True:
            operations.append(Pending())
            await operations[-1]
            yield b""

    with speaking(lambda _: Response(pieces()), backend_timeout=5.0) as bench:
        peer = Peer(bench)
        number = peer.begin(head())
        peer.flush()
        for _ in range(5):
            bench.after(1)
            operations[-1].finish()
            bench.settle()
        peer.flush()
        assert peer.answers[number].reset is not None


@pytest.mark.parametrize("state", [*WAITING, *SENDING])
def test_the_states_are_the_table_s(state: S) -> None:
    with speaking(lambda _: Response(b"")) as bench:
        assert state in [node.state for node in bench.service.http2.streams.nodes]


def test_a_sweep_looks_before_any_route_s_deadline() -> None:
    with speaking(lambda _: Response(b"")) as bench:
        waiting = bench.service.http2.waiting
        heed(waiting, RouteLimits(backend_timeout=1.0))
        assert {node.least for node in waiting} == {1.0}
