"""The recorder: what is kept of those that have ended, and the bounds of it."""

import pytest

from clerestory.handlers.api.errors import HTTPError
from clerestory.handlers.api.messages import Request, Response
from clerestory.server.xray.observe.recorder import LONGEST, Recorder, history_of, recording_of
from clerestory.statemachines.connection import Trigger as T
from clerestory.statemachines.contract import Facts
from clerestory.statemachines.engine import HISTORY
from clerestory.statemachines.h2_stream import Trigger as StreamTrigger
from tests.server.http2.support import Peer, head, speaking
from tests.server.support import GET, Bench, bench_of, hello, reset
from tests.server.xray.support import waiting


def end(bench: Bench, how: str) -> None:
    """One connection, from its beginning to its end."""
    client = bench.connect(tcp=how == "reset")
    if how == "reset":
        client.send(b"GET / HTTP/1.1\r\n")
        reset(client)
        bench.settle()
    elif how == "order":
        client.send(GET)
        bench.loop.fire(client.connection, T.CLOSE_ORDERED)
        bench.settle()
    else:
        client.half_close()
    assert client.is_closed


def test_a_normal_end_and_an_abnormal_one_are_kept_apart() -> None:
    with bench_of(waiting()) as bench:
        end(bench, "leave")
        end(bench, "order")
        recorder = bench.recorder
        (normal,), (abnormal,) = recorder.normal, recorder.abnormal
        assert (normal.id, normal.ending(), normal.request) == ("1", "client in AWAITING_REQUEST", "")
        assert (abnormal.id, abnormal.ending(), abnormal.request) == ("2", "operator in QUERYING_BACKEND", "GET /")
        assert [edge.trigger for _, edge in abnormal.path] == ["HEAD_RECEIVED", "CLOSE_ORDERED"]
        assert (abnormal.bytes_in, abnormal.bytes_out, abnormal.requests) == (len(GET), 0, 1)
        assert abnormal.whole
        assert abnormal.ended_at == bench.clock.now


@pytest.mark.parametrize(
    ("data", "seconds", "ending", "request_"),
    [
        (b"GET /a?b HTTP/1.1\r\nhost: x\r\n\r\n", 76, "deadline in QUERYING_BACKEND", "GET /a?b"),
        (b"GET /a?b HTTP/1.1\r\nhost:", 31, "deadline in READING_HEAD", "GET /a?b"),
        (b"GET /a?b HT", 31, "deadline in READING_HEAD", ""),
        (b"GET /a?b HTTP/1.1\r\nhost : x\r\n\r\n", 0, "client in AWAITING_REQUEST", "GET /a?b"),
        (b"", 31, "deadline in AWAITING_REQUEST", ""),
    ],
)
def test_the_request_that_was_given_up_is_kept(data: bytes, seconds: float, ending: str, request_: str) -> None:
    """It is given up before the connection ends: what it was is read from how its head began."""
    with bench_of(waiting(), head_timeout=30.0) as bench:
        client = bench.connect()
        if data:
            client.send(data)
        bench.clock.now += seconds
        bench.settle()
        client.half_close()
        recorder = bench.recorder
        (found,) = [*recorder.normal, *recorder.abnormal]
        assert (found.ending(), found.request) == (ending, request_)


def test_what_had_been_answered_before_an_idle_end_is_not_taken_for_unanswered() -> None:
    with bench_of(hello) as bench:
        client = bench.connect(tcp=True)
        client.send(GET)
        reset(client)
        bench.settle()
        (found,) = bench.recorder.normal
        assert (found.ending(), found.request) == ("client in AWAITING_REQUEST", "")
        assert found.received == GET


def test_abnormal_ends_outlast_any_number_of_normal_ones() -> None:
    with bench_of(waiting()) as bench:
        bench.recorder = bench.service.observer = Recorder(normal=3, abnormal=5)
        end(bench, "order")
        for _ in range(10):
            end(bench, "leave")
        recorder = bench.recorder
        assert [one.id for one in recorder.normal] == ["9", "10", "11"]
        assert [one.id for one in recorder.abnormal] == ["1"]


def test_each_ring_is_full_at_its_bound_and_forgets_the_oldest_beyond_it() -> None:
    with bench_of(waiting()) as bench:
        bench.recorder = bench.service.observer = recorder = Recorder(normal=3, abnormal=5)
        for _ in range(5):
            end(bench, "order")
        assert [one.id for one in recorder.abnormal] == ["1", "2", "3", "4", "5"]
        end(bench, "order")
        assert [one.id for one in recorder.abnormal] == ["2", "3", "4", "5", "6"]
        assert sum(recorder.ends.values()) == 6


def test_the_sums_of_the_ended_go_on_when_their_recordings_are_forgotten() -> None:
    with bench_of(hello) as bench:
        bench.recorder = bench.service.observer = recorder = Recorder(normal=1)
        for _ in range(3):
            client = bench.connect()
            client.send(GET)
            client.half_close()
        assert (recorder.bytes_in, recorder.served) == (3 * len(GET), 3)
        assert recorder.bytes_out > 0
        assert [(edge.row.ends, count) for edge, count in recorder.ends.items()] == [("client", 3)]


def test_a_recording_holds_no_field_of_the_request_and_a_line_of_bounded_length() -> None:
    with bench_of(waiting()) as bench:
        client = bench.connect()
        target = b"/" + b"a" * (LONGEST - 5) + b"b"
        client.send(b"GET %b HTTP/1.1\r\nhost: x\r\ncookie: secret\r\n\r\n" % target)
        bench.loop.fire(client.connection, T.CLOSE_ORDERED)
        (one,) = bench.recorder.abnormal
        assert len(one.request) == LONGEST
        assert one.request == f"GET /{'a' * (LONGEST - 5)}"
        assert "secret" not in repr(one)


def test_a_long_path_keeps_its_end_and_says_that_it_is_not_whole() -> None:
    with bench_of(hello) as bench:
        client = bench.connect()
        client.connection.ring = [None] * 2 * HISTORY
        for _ in range(HISTORY):
            client.send(GET)
        client.half_close()
        (one,) = bench.recorder.normal
        assert len(one.path) == HISTORY
        assert not one.whole
        assert one.path[-1][1].trigger == "PEER_CLOSED"


def test_a_recording_is_found_by_its_name() -> None:
    with bench_of(waiting()) as bench:
        end(bench, "leave")
        end(bench, "order")
        recorder = bench.recorder
        assert recorder.find("1") is recorder.normal[0]
        assert recorder.find("2") is recorder.abnormal[0]
        assert recorder.find("3") is None


def test_an_open_machine_can_be_recorded_too() -> None:
    with bench_of(hello) as bench:
        client = bench.connect()
        client.send(GET)
        one = recording_of(client.connection, Facts(*client.connection.facts()), client.connection.history)
        assert (one.ended_at, one.edge, one.ending(), one.requests) == (None, None, "", 1)


def test_a_history_is_read_from_another_thread_without_the_passage_that_is_being_written() -> None:
    """The engine writes a time, an edge, and where the next will be; another thread may look in between."""
    with bench_of(hello) as bench:
        client = bench.connect()
        client.send(GET)
        machine = client.connection
        whole = machine.history
        assert history_of(machine) == whole
        machine.ring[machine.ring_end] = bench.clock.now
        assert history_of(machine) == whole
        machine.ring[machine.ring_end + 1] = whole[0][1]
        assert history_of(machine) == whole


def test_of_a_full_history_another_thread_does_not_see_the_oldest() -> None:
    with bench_of(hello) as bench:
        client = bench.connect()
        client.connection.ring = [None] * 2 * HISTORY
        for _ in range(HISTORY):
            client.send(GET)
        assert len(client.connection.history) == HISTORY
        assert history_of(client.connection) == client.connection.history[1:]


def test_a_deadline_that_fires_tells_the_log_the_history() -> None:
    with bench_of(hello, head_timeout=10.0) as bench:
        client = bench.connect()
        client.send(b"GET / HT")
        bench.after(10)
        client.far.close()
        bench.settle()
        (event,) = [event for event in bench.logs.events if event["event"] == "connection_ended"]
        assert (event["cause"], event["state"]) == ("deadline", "READING_HEAD")
        assert event["history"][:2] == [
            "HEAD_STARTED -> READING_HEAD from AWAITING_REQUEST",
            "DEADLINE_PASSED -> SENDING_RESPONSE after 10.000 s",
        ]


def test_another_end_is_logged_without_it() -> None:
    with bench_of(waiting()) as bench:
        end(bench, "order")
        (event,) = [event for event in bench.logs.events if event["event"] == "connection_ended"]
        assert "history" not in event


def test_a_reset_inside_a_head_is_an_abnormal_end() -> None:
    with bench_of(hello) as bench:
        end(bench, "reset")
        (one,) = bench.recorder.abnormal
        assert one.ending() == "client in READING_HEAD"


# --- streams


def test_streams_are_kept_apart_from_connections_and_their_bytes_are_counted_once() -> None:
    with speaking(hello) as bench:
        peer = Peer(bench)
        peer.get(b"/a?b")
        recorder = bench.recorder
        (one,) = recorder.streams
        number = peer.machine.number
        assert (one.id, one.engine.table.name, one.requests) == (f"{number}/1", "h2_stream", 1)
        assert (one.request, one.status, one.ending()) == ("GET /a?b", 200, "server in SENDING_RESPONSE")
        assert [edge.trigger for _, edge in one.path] == ["HEAD_RECEIVED", "OUTPUT_READY", "OUTPUT_FLUSHED"]
        assert (one.received, one.sent[:15]) == (b"GET /a?b HTTP/2", b"HTTP/1.1 200 OK")
        assert recorder.find(f"{number}/1") is one
        assert (list(recorder.broken_streams), recorder.ends, recorder.bytes_in) == ([], {}, 0)
        bench.after(1)
        peer.half_close()
        assert [one.id for one in recorder.ended_well()] == [str(number), f"{number}/1"], "the latest first"
        assert [edge.row.ends for edge in recorder.ends] == ["client"]


def test_a_stream_that_is_cut_is_an_abnormal_end_and_its_connection_s_is_not() -> None:
    with speaking(waiting()) as bench:
        peer = Peer(bench)
        number = peer.begin(head(b"GET", b"/a"))
        peer.begin(head(b"GET", b"/b"))
        peer.flush()
        bench.loop.fire(peer.streams[number], StreamTrigger.CLOSE_ORDERED)
        peer.flush()
        assert [one.id for one in bench.recorder.ended_badly()] == [f"{peer.machine.number}/1"]
        (one,) = bench.recorder.broken_streams
        assert (one.request, one.ending()) == ("GET /a", "operator in QUERYING_BACKEND")
        assert list(bench.recorder.abnormal) == []
        assert list(peer.streams) == [3]
        assert peer.answers[1].reset == 8, "CANCEL"


def test_a_request_that_a_backend_failed_is_a_fault_of_its_stream_alone() -> None:
    def failing(request: Request) -> Response:
        if request.path != "/b":
            return Response(b"")
        error = HTTPError(502)
        error.cause = "refused"
        raise error

    with speaking(failing) as bench:
        peer = Peer(bench)
        peer.get(b"/a")
        peer.get(b"/b")
        (one,) = bench.recorder.broken_streams
        assert one.id == f"{peer.machine.number}/3"
        assert one.note.startswith("request 2 was answered (502")
        peer.half_close()
        assert list(bench.recorder.abnormal) == [], "the connection has ended well"


def test_of_many_streams_that_end_well_some_are_kept_and_of_each_connection() -> None:
    with speaking(hello) as bench:
        bench.service.skips = 3
        for _ in range(4):
            peer = Peer(bench)
            for _ in range(8):
                peer.get()
        kept = [one.id.partition("/")[0] for one in bench.recorder.streams]
        assert {number: kept.count(number) for number in kept} == dict.fromkeys("1234", 2)
