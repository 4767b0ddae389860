"""A connection that speaks HTTP/2: how it begins, serves and ends, by the library's client half over a socket pair."""

from collections.abc import Callable

import pytest
from h2.errors import ErrorCodes
from h2.settings import SettingCodes
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    PriorityFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

from clerestory.handlers.api.messages import Request, Response
from clerestory.handlers.echo import echo
from clerestory.handlers.wire.transport import PeerGoneError
from clerestory.server.connection.room import connections, make_room
from clerestory.server.http2.connection import Connection
from clerestory.server.http2.frames import PREFACE
from clerestory.statemachines.connection import State as Before
from clerestory.statemachines.h2_connection import State as S
from clerestory.statemachines.h2_connection import Trigger as T
from tests.server.http2.support import Peer, head, speaking
from tests.server.support import Pending, bench_of

pytestmark = pytest.mark.usefixtures("every_descriptor_back")


def hello(request: Request) -> Response:
    return Response(b"hello")


def silent(operation: Pending) -> Callable[[Request], object]:
    async def handler(request: Request) -> Response:
        await operation
        return Response(b"at last")

    return handler


def way(peer: Peer) -> list[str]:
    return [str(edge.dest.state) for _, edge in peer.machine.history]


# --- the beginning


def test_a_request_is_answered() -> None:
    with speaking(hello) as bench:
        peer = Peer(bench)
        assert way(peer)[:2] == [S.NEGOTIATING, S.SENDING]
        assert str(peer.machine.state) == S.AWAITING_REQUEST
        answer = peer.get()
        assert (answer.status, answer.body, answer.ended) == (200, b"hello", True)
        assert str(peer.machine.state) == S.AWAITING_REQUEST
        assert peer.streams == {}


def test_the_machine_of_http_1_1_has_ended_and_the_number_is_the_same() -> None:
    with speaking(hello) as bench:
        peer = Peer(bench)
        before = peer.client.connection
        assert (before.state, before.is_handed_on) == (Before.CLOSED, True)
        assert (peer.machine.number, peer.machine.descriptor) == (before.number, before.descriptor)
        assert bench.service.open_connections() == 1
        assert connections(bench.service) == [peer.machine]
        peer.client.far.close()
        bench.settle()
        assert bench.service.open_connections() == 0


@pytest.mark.parametrize("cut", range(1, len(PREFACE)))
def test_a_preface_may_come_in_pieces(cut: int) -> None:
    with speaking(hello) as bench:
        peer = Peer(bench, begin=False)
        data = peer.library.data_to_send()
        peer.push(data[:cut])
        peer.client.far.sendall(data[cut:])
        peer.flush()
        assert peer.get().body == b"hello"


def test_without_h2c_a_preface_is_no_request() -> None:
    with bench_of(hello) as bench:
        client = bench.connect()
        assert client.send(PREFACE).sent.startswith(b"HTTP/1.1 505")


def test_behind_a_request_of_http_1_1_it_is_none_either() -> None:
    with speaking(hello) as bench:
        client = bench.connect()
        client.send(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        assert client.send(PREFACE).sent.startswith(b"HTTP/1.1 505")


def test_http_1_1_goes_on_beside_it() -> None:
    with speaking(hello) as bench:
        client = bench.connect()
        assert client.send(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").sent.endswith(b"hello")


def test_who_sends_a_preface_and_no_settings_is_told_goodbye() -> None:
    with speaking(hello, handshake_timeout=5.0) as bench:
        peer = Peer(bench, begin=False)
        peer.push(PREFACE)
        bench.after(5)
        peer.take()
        assert peer.goaway is not None
        assert peer.goaway.error_code == ErrorCodes.SETTINGS_TIMEOUT


def test_our_settings_are_to_be_acknowledged_in_time() -> None:
    with speaking(hello, http2_settings_timeout=5.0) as bench:
        peer = Peer(bench, begin=False)
        peer.push(PREFACE + SettingsFrame(0).serialize())
        assert str(peer.machine.state) == S.NEGOTIATING
        bench.after(4)
        assert str(peer.machine.state) == S.NEGOTIATING
        bench.after(1)
        assert str(peer.machine.state) == S.LINGERING


def test_requests_are_served_meanwhile() -> None:
    with speaking(hello) as bench:
        peer = Peer(bench, begin=False)
        peer.begin(head())
        peer.push(peer.library.data_to_send())
        assert str(peer.machine.state) == S.NEGOTIATING
        peer.take()
        assert peer.answers[1].body == b"hello"


# --- serving


def test_many_are_served_at_once_and_each_has_its_own_answer() -> None:
    async def numbered(request: Request) -> Response:
        return Response(request.target.encode() + b" " + await request.read())

    with speaking(numbered) as bench:
        peer = Peer(bench)
        numbers = [peer.begin(head(b"POST", b"/%d" % each), end=False) for each in range(100)]
        for number in numbers:
            peer.library.send_data(number, b"of %d" % number, end_stream=True)
        peer.flush()
        for each, number in enumerate(numbers):
            assert peer.answers[number].body == b"/%d of %d" % (each, number)


def test_one_stream_that_waits_keeps_no_other_waiting() -> None:
    operation = Pending()

    async def handler(request: Request) -> Response:
        if request.path == "/slow":
            await operation
        return Response(request.path.encode())

    with speaking(handler) as bench:
        peer = Peer(bench)
        slow = peer.begin(head(b"GET", b"/slow"))
        assert peer.get(b"/quick").body == b"/quick"
        assert str(peer.machine.state) == S.SERVING
        operation.finish()
        peer.flush()
        assert peer.answers[slow].body == b"/slow"


def test_pings_are_answered() -> None:
    with speaking(hello) as bench:
        peer = Peer(bench)
        peer.library.ping(b"12345678")
        peer.flush()
        assert str(peer.machine.state) == S.AWAITING_REQUEST


def test_a_stream_that_is_not_read_stalls_no_other() -> None:
    operation = Pending()

    async def handler(request: Request) -> Response:
        if request.path == "/stalled":
            await operation
        return Response(b"%d" % len(await request.read()))

    with speaking(handler, max_body=10_000_000) as bench:
        peer = Peer(bench)
        stalled = peer.begin(head(b"POST", b"/stalled"), end=False)
        peer.flush()
        sent = 0
        while room := min(peer.library.local_flow_control_window(stalled), 16_384):
            peer.data(stalled, bytes(room))
            sent += room
        assert sent == 65_536
        other = peer.begin(head(b"POST", b"/other"), end=False)
        for _ in range(40):
            peer.data(other, bytes(16_384))
        peer.data(other, b"", end=True)
        assert peer.answers[other].body == b"%d" % (40 * 16_384)
        operation.finish()
        peer.flush()
        peer.data(stalled, b"", end=True)
        assert peer.answers[stalled].body == b"%d" % sent


def test_what_is_not_read_of_all_streams_has_a_bound() -> None:
    operation = Pending()

    async def handler(request: Request) -> Response:
        await operation
        return Response(b"")

    with speaking(handler, http2_max_unread=200_000) as bench:
        peer = Peer(bench)
        sent = 0
        for _ in range(10):
            number = peer.begin(head(b"POST"), end=False)
            peer.flush()
            while room := min(peer.library.local_flow_control_window(number), 16_384):
                peer.data(number, bytes(room))
                sent += room
        assert 140_000 <= sent <= 200_000
        for stream in list(peer.streams):
            peer.library.reset_stream(stream)
        peer.flush()
        assert peer.library.outbound_flow_control_window >= 100_000


def test_a_window_of_the_connection_is_shared() -> None:
    with speaking(lambda _: Response(bytes(50_000))) as bench:
        peer = Peer(bench, takes_all=False)
        one, two = peer.begin(head()), peer.begin(head())
        peer.flush()
        assert len(peer.answers[one].body) + len(peer.answers[two].body) == 65_535
        assert {str(stream.state) for stream in peer.streams.values()} == {"AWAITING_WINDOW"}
        peer.library.increment_flow_control_window(65_535)
        peer.flush()
        assert peer.answers[one].ended
        assert peer.answers[two].ended


def test_a_window_may_be_opened_by_settings_too() -> None:
    with speaking(lambda _: Response(bytes(50_000))) as bench:
        peer = Peer(bench, takes_all=False)
        peer.library.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: 0})
        peer.flush()
        number = peer.begin(head())
        peer.flush()
        assert (peer.answers[number].status, peer.answers[number].body) == (200, b"")
        peer.library.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: 60_000})
        peer.flush()
        assert peer.answers[number].ended


def test_a_socket_that_takes_little_gets_all_of_it() -> None:
    with speaking(lambda _: Response(b"x" * 100_000)) as bench:
        peer = Peer(bench, takes=(size for _ in range(10_000) for size in (1000, 0, 7)))
        assert peer.get().body == b"x" * 100_000


def test_who_reads_nothing_is_cut_at_the_deadline() -> None:
    with speaking(lambda _: Response(bytes(1_000_000)), http2_stall_timeout=5.0, send_timeout=60.0) as bench:
        peer = Peer(bench, begin=False, buffer=4096)
        peer.library.increment_flow_control_window(1 << 20)
        peer.begin(head())
        peer.push(peer.library.data_to_send())
        assert str(peer.machine.state) == S.SENDING
        bench.after(5)
        assert peer.client.is_closed
        assert "ended: deadline SENDING DEADLINE_PASSED" in bench.logs.take()


# --- the end


def test_a_client_that_goes_is_no_fault_when_nothing_is_open() -> None:
    with speaking(hello) as bench:
        peer = Peer(bench)
        bench.logs.take()
        peer.half_close()
        assert peer.client.is_closed
        assert bench.logs.take() == []


def test_one_that_goes_amid_requests_ends_them() -> None:
    operation = Pending()
    with speaking(silent(operation)) as bench:
        peer = Peer(bench)
        peer.begin(head(b"GET", b"/a"))
        peer.flush()
        peer.half_close()
        assert peer.client.is_closed
        assert operation.cancelled == 1
        assert bench.logs.take() == [
            "ended: client SERVING PEER_CLOSED",
            "1/1 GET /a - client in QUERYING_BACKEND",
        ]


def test_a_reset_is_noticed_while_it_reads_and_while_it_writes() -> None:
    for fails in ([PeerGoneError()], [PeerGoneError(), PeerGoneError()]):
        with speaking(hello) as bench:
            peer = Peer(bench)
            peer.client.transport.fails = list(fails)
            peer.begin(head())
            peer.client.far.sendall(peer.library.data_to_send())
            bench.settle()
            assert peer.client.is_closed


def test_goaway_of_the_client_s_lets_what_is_open_finish() -> None:
    operation = Pending()
    with speaking(silent(operation)) as bench:
        peer = Peer(bench)
        number = peer.begin(head())
        peer.flush()
        peer.raw(GoAwayFrame(0).serialize())
        assert str(peer.machine.state) == S.DRAINING
        operation.finish()
        peer.flush()
        assert peer.answers[number].body == b"at last"
        assert peer.client.at_end


def test_goaway_of_an_idle_client_s_ends_it() -> None:
    with speaking(hello) as bench:
        peer = Peer(bench)
        peer.raw(GoAwayFrame(0).serialize())
        assert peer.client.at_end


def test_a_drain_says_goaway_and_lets_what_is_open_finish() -> None:
    operation = Pending()
    with speaking(silent(operation)) as bench:
        peer = Peer(bench)
        number = peer.begin(head())
        peer.flush()
        bench.service.draining = True
        bench.loop.tell(peer.machine, T.DRAIN_STARTED)
        assert str(peer.machine.state) == S.SENDING
        operation.finish()
        bench.settle()
        data = peer.client.received()
        assert str(peer.machine.state) == S.LINGERING
        assert GoAwayFrame(0, last_stream_id=number).serialize() in data
        assert b"at last" in data


def test_behind_goaway_a_further_stream_is_refused() -> None:
    operation = Pending()
    with speaking(silent(operation)) as bench:
        peer = Peer(bench)
        peer.begin(head())
        peer.flush()
        late = peer.begin(head())
        data = peer.library.data_to_send()
        bench.loop.tell(peer.machine, T.DRAIN_STARTED)
        bench.settle()
        peer.client.received()
        peer.push(data)
        refusal = RstStreamFrame(late, error_code=ErrorCodes.REFUSED_STREAM).serialize()
        assert peer.client.received() == refusal


@pytest.mark.parametrize("order", [T.DRAIN_STARTED, T.ROOM_WANTED, T.CLOSE_ORDERED, T.DEADLINE_PASSED])
def test_an_idle_one_ends_with_a_goodbye(order: T) -> None:
    with speaking(hello) as bench:
        peer = Peer(bench)
        bench.loop.tell(peer.machine, order)
        peer.take()
        bench.settle()
        peer.client.received()
        assert peer.goaway is not None
        assert peer.goaway.error_code == ErrorCodes.NO_ERROR
        assert peer.client.at_end


def test_an_idle_one_makes_room_for_others() -> None:
    with speaking(hello) as bench:
        peer = Peer(bench)
        bench.after(1)
        assert make_room(bench.service, 1) == 1
        bench.settle()
        assert peer.client.is_closed


def test_it_may_be_idle_for_so_long() -> None:
    with speaking(hello, keep_alive_timeout=5.0) as bench:
        peer = Peer(bench)
        bench.after(4)
        assert str(peer.machine.state) == S.AWAITING_REQUEST
        bench.after(1)
        assert str(peer.machine.state) == S.LINGERING
        bench.after(2)
        assert peer.client.is_closed


@pytest.mark.parametrize("most", [1, 3])
def test_so_many_requests_and_then_goaway(most: int) -> None:
    with speaking(hello, max_requests=most) as bench:
        peer = Peer(bench)
        for _ in range(most - 1):
            assert peer.get().status == 200
            assert peer.goaway is None
        number = peer.begin(head())
        peer.push(peer.library.data_to_send())
        data = peer.client.received()
        assert GoAwayFrame(0, last_stream_id=number).serialize() in data
        assert b"hello" in data


def test_after_a_goodbye_what_still_comes_is_discarded_up_to_a_bound() -> None:
    with speaking(hello, max_linger=1000) as bench:
        peer = Peer(bench)
        bench.loop.tell(peer.machine, T.DRAIN_STARTED)
        bench.settle()
        peer.client.far.sendall(bytes(1000))
        bench.settle()
        assert not peer.client.is_closed
        peer.client.far.sendall(b"x")
        bench.settle()
        assert peer.client.is_closed


# --- violations


VIOLATIONS: list[tuple[str, list[Frame], ErrorCodes]] = [
    ("DATA on stream 0", [DataFrame(1, data=b"x")], ErrorCodes.PROTOCOL_ERROR),
    ("an even stream", [HeadersFrame(2, b"\x82\x87\x84\x41\x01a", flags=["END_HEADERS"])], ErrorCodes.PROTOCOL_ERROR),
    (
        "a field block that is none",
        [HeadersFrame(1, b"\xff\xff\xff", flags=["END_HEADERS"])],
        ErrorCodes.PROTOCOL_ERROR,
    ),
    ("CONTINUATION alone", [ContinuationFrame(1, b"", flags=["END_HEADERS"])], ErrorCodes.PROTOCOL_ERROR),
    ("a frame within a field block", [HeadersFrame(1, b"\x82"), PingFrame(0, bytes(8))], ErrorCodes.PROTOCOL_ERROR),
    ("a stream of its own dependency", [PriorityFrame(1, depends_on=1)], ErrorCodes.PROTOCOL_ERROR),
    ("a window above 2^31 - 1", [WindowUpdateFrame(0, window_increment=2**31 - 1)], ErrorCodes.FLOW_CONTROL_ERROR),
    ("a push setting that is none", [SettingsFrame(0, settings={2: 2})], ErrorCodes.PROTOCOL_ERROR),
    ("a window setting above 2^31 - 1", [SettingsFrame(0, settings={4: 2**31})], ErrorCodes.FLOW_CONTROL_ERROR),
    ("a frame size setting below 16,384", [SettingsFrame(0, settings={5: 1000})], ErrorCodes.PROTOCOL_ERROR),
]


@pytest.mark.parametrize(("frames", "code"), [case[1:] for case in VIOLATIONS], ids=[case[0] for case in VIOLATIONS])
def test_a_violation_ends_the_connection_with_its_code(frames: list[Frame], code: ErrorCodes) -> None:
    operation = Pending()
    with speaking(silent(operation)) as bench:
        peer = Peer(bench)
        for frame in frames:
            peer.client.far.sendall(frame.serialize())
        bench.settle()
        data = peer.client.received()
        assert data.count(b"\x07\0\0\0\0\0") == 1
        at = data.index(b"\x07\0\0\0\0\0")
        assert int.from_bytes(data[at + 10 : at + 14], "big") == code
        assert str(peer.machine.state) == S.LINGERING
        peer.half_close()
        assert peer.client.is_closed
        assert bench.logs.take()[0].startswith("ended: client")


@pytest.mark.parametrize("data", [b"\0\0\x07\x07\0\0\0\0\0" + bytes(7), b"\0\0\x08\x07\0\0\0\0\x01" + bytes(8)])
def test_a_goaway_that_is_none_is_a_violation(data: bytes) -> None:
    with speaking(hello) as bench:
        peer = Peer(bench)
        peer.raw(data)
        assert peer.goaway is not None
        assert peer.goaway.error_code != ErrorCodes.NO_ERROR


def test_a_violation_ends_what_was_served() -> None:
    operation = Pending()
    with speaking(silent(operation)) as bench:
        peer = Peer(bench)
        peer.begin(head())
        peer.flush()
        peer.raw(DataFrame(99, data=b"x").serialize())
        assert operation.cancelled == 1
        assert peer.streams == {}


def test_a_request_before_a_violation_in_the_same_read_is_known_to_the_client() -> None:
    with speaking(echo) as bench:
        peer = Peer(bench)
        number = peer.begin(head())
        peer.raw(peer.library.data_to_send() + b"\xff\xff\xff" + bytes(6))
        assert peer.goaway is not None
        assert peer.goaway.last_stream_id == number
        assert peer.goaway.additional_data == b"A frame is longer than 16384 bytes."


def test_it_is_found_among_the_machines() -> None:
    with speaking(hello) as bench:
        peer = Peer(bench)
        machine: Connection = peer.machine
        assert machine.facts()[:2] == (1, "client")
        assert machine.counts() == machine.facts()
        assert machine.excerpts() == (b"", b"")
        assert machine.protection() == ""
