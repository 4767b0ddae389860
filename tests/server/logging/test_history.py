"""A history becomes lines: what happened, where it led, and how long after the one before."""

from clerestory.server.logging.history import history_lines
from tests.server.support import GET, bench_of, hello


def test_each_transition_is_a_line_with_the_time_since_the_one_before() -> None:
    with bench_of(hello) as bench:
        client = bench.connect()
        client.send(GET)
        bench.clock.now += 2
        client.half_close()
        assert history_lines(client.connection.history) == [
            "HEAD_RECEIVED -> QUERYING_BACKEND from AWAITING_REQUEST",
            "OUTPUT_READY -> SENDING_RESPONSE after 0.000 s",
            "OUTPUT_FLUSHED -> AWAITING_REQUEST after 0.000 s",
            "PEER_CLOSED -> CLOSED after 2.000 s",
        ]
