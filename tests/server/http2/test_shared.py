"""What the connections of one service share."""

from clerestory.handlers.api.messages import Response
from clerestory.server.http2.shared import PLACES
from clerestory.statemachines import connection, h2_stream
from clerestory.statemachines.h2_stream import State as S
from tests.server.http2.support import Peer, speaking


def test_each_state_of_a_stream_is_told_as_one_of_http_1_1() -> None:
    states = [spec.state for spec in connection.TABLE.specs]
    told = {str(spec.state): str(states[place]) for spec, place in zip(h2_stream.TABLE.specs, PLACES, strict=True)}
    assert told == {
        "IDLE": "AWAITING_REQUEST",
        "READING_BODY": "READING_BODY",
        "QUERYING_BACKEND": "QUERYING_BACKEND",
        "PRODUCING": "PRODUCING",
        "SENDING_RESPONSE": "SENDING_RESPONSE",
        "AWAITING_WINDOW": "SENDING_RESPONSE",
        "EXCHANGING": "EXCHANGING",
        "TUNNELLING": "TUNNELLING",
        "CLOSED": "CLOSED",
    }


def test_streams_have_the_paces_of_bodies_and_responses() -> None:
    with speaking(lambda _: Response(b""), body_timeout=7.0, send_min_rate=9) as bench:
        shared = bench.service.http2
        paces = {str(node.state): pace for node, pace in zip(shared.streams.nodes, shared.paces, strict=True)}
        assert paces[S.READING_BODY][0] == 7.0
        assert paces[S.AWAITING_WINDOW][1] == paces[S.SENDING_RESPONSE][1] == 9
        assert paces[S.QUERYING_BACKEND] == (0.0, 0, 0.0)


def test_open_connections_are_counted_by_their_machines() -> None:
    with speaking(lambda _: Response(b"")) as bench:
        peers = [Peer(bench) for _ in range(3)]
        assert bench.service.http2.open() == bench.service.open_connections() == 3
        for peer in peers:
            peer.client.far.close()
        bench.settle()
        assert bench.service.http2.open() == bench.service.open_connections() == 0
