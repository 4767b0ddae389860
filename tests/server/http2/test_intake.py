"""What comes is taken whole, and bounded: each bound at N and at N + 1, by frames on a real connection."""

import pytest
from h2.errors import ErrorCodes
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    Frame,
    HeadersFrame,
    PingFrame,
    PriorityFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

from clerestory.handlers.api.messages import Request, Response
from clerestory.server.http2.codec import list_size
from tests.server.http2.support import Peer, head, speaking
from tests.server.support import Pending

CALM = ErrorCodes.ENHANCE_YOUR_CALM


class Waiting:
    """A handler that waits for ever, and counts."""

    def __init__(self) -> None:
        self.begun = 0
        self.operations: list[Pending] = []

    async def __call__(self, request: Request) -> Response:
        self.begun += 1
        operation = Pending()
        self.operations.append(operation)
        await operation
        return Response(b"")


def code(peer: Peer) -> int | None:
    return peer.goaway.error_code if peer.goaway is not None else None


def test_so_many_streams_at_a_time_and_one_more_is_refused_alone() -> None:
    handler = Waiting()
    with speaking(handler, http2_max_streams=3) as bench:
        peer = Peer(bench)
        numbers = [peer.begin(head()) for _ in range(3)]
        peer.flush()
        assert (handler.begun, len(peer.streams)) == (3, 3)
        peer.library.remote_settings._settings.clear()
        peer.library.remote_settings[3] = 100
        peer.library.remote_settings.acknowledge()
        block = peer.library.encoder.encode(head())
        peer.push(HeadersFrame(7, block, flags=["END_HEADERS", "END_STREAM"]).serialize())
        refusal = peer.client.received()
        assert refusal[3] == 3
        assert int.from_bytes(refusal[9:13], "big") == ErrorCodes.REFUSED_STREAM
        assert (handler.begun, len(peer.streams)) == (3, 3)
        handler.operations[0].finish()
        bench.settle()
        peer.take()
        assert peer.answers[numbers[0]].status == 200


@pytest.mark.parametrize(("resets", "ends"), [(3, False), (4, True)])
def test_rapid_reset_is_bounded(resets: int, ends: bool) -> None:
    handler = Waiting()
    with speaking(handler, http2_max_resets=3) as bench:
        peer = Peer(bench)
        for _ in range(resets):
            number = peer.begin(head())
            peer.library.reset_stream(number)
        peer.flush()
        assert code(peer) == (CALM if ends else None)
        assert sum(one.cancelled for one in handler.operations) == handler.begun


@pytest.mark.parametrize(("resets", "ends"), [(3, False), (4, True)])
def test_streams_that_are_reset_for_the_client_s_fault_are_bounded_as_well(resets: int, ends: bool) -> None:
    with speaking(Waiting(), http2_max_resets=3) as bench:
        peer = Peer(bench)
        for _ in range(resets):
            number = peer.begin(head())
            data = peer.library.data_to_send()
            peer.push(data + WindowUpdateFrame(number, window_increment=2**31 - 1).serialize())
        peer.take()
        assert code(peer) == (CALM if ends else None)


FLOODS: list[tuple[str, Frame]] = [
    ("PING", PingFrame(0, opaque_data=bytes(8))),
    ("SETTINGS", SettingsFrame(0)),
    ("acknowledgements", SettingsFrame(0, flags=["ACK"])),
    ("PRIORITY", PriorityFrame(9, depends_on=0)),
    ("windows of one byte", WindowUpdateFrame(0, window_increment=1)),
    ("windows of a stream", WindowUpdateFrame(1, window_increment=1)),
    ("empty DATA", DataFrame(1)),
    ("DATA of one byte", DataFrame(1, data=b"x")),
]


@pytest.mark.parametrize("frame", [frame for _, frame in FLOODS], ids=[name for name, _ in FLOODS])
@pytest.mark.parametrize("more", [0, 1])
def test_a_flood_is_bounded(frame: Frame, more: int) -> None:
    with speaking(Waiting(), http2_max_controls=20) as bench:
        peer = Peer(bench)
        peer.begin(head(b"POST"), end=False)
        peer.flush()
        bench.after(1)  # what the beginning took is another second's
        peer.push(frame.serialize() * (20 + more))
        peer.take()
        assert code(peer) == (CALM if more else None)


@pytest.mark.parametrize(("most", "ends"), [(3, False), (2, True)])
def test_continuations_are_bounded(most: int, ends: bool) -> None:
    with speaking(lambda _: Response(b"hello"), http2_max_continuations=most) as bench:
        peer = Peer(bench)
        block = peer.library.encoder.encode(head())
        frames: list[Frame] = [HeadersFrame(1, block[:2], flags=["END_STREAM"])]
        frames += [ContinuationFrame(1, block[2 + at : 3 + at]) for at in range(2)]
        frames.append(ContinuationFrame(1, block[4:], flags=["END_HEADERS"]))
        peer.push(b"".join(frame.serialize() for frame in frames))
        data = peer.client.received()
        assert (b"hello" in data) is not ends
        assert (b"CONTINUATION" in data) is ends


@pytest.mark.parametrize(("size", "status"), [(400, 200), (500, 431)])
def test_a_field_section_beyond_our_limits_is_refused_alone(size: int, status: int) -> None:
    with speaking(lambda _: Response(b""), max_head=500, max_fields=10) as bench:
        peer = Peer(bench)
        assert peer.get(b"/", (b"x", b"y" * size)).status == status
        assert peer.get().status == 200


def test_one_that_is_far_beyond_them_ends_the_connection() -> None:
    """A bomb of field compression (CVE-2016-6581): a few bytes that say a large field again and again."""
    with speaking(lambda _: Response(b"")) as bench:
        peer = Peer(bench)
        size = 2 * list_size(bench.limits)
        number = peer.begin([*head(), (b"x", b"y" * 4000), *[(b"x", b"y" * 4000)] * (size // 4000)])
        assert len(peer.library.data_to_send(0)) == 0
        peer.flush()
        assert code(peer) == CALM
        assert number not in peer.answers


def test_dynamic_tables_are_bounded() -> None:
    with speaking(lambda _: Response(b"")) as bench:
        peer = Peer(bench)
        for number in range(50):
            assert peer.get(b"/", (b"x-%d" % number, b"y" * 500)).status == 200
        decoder = peer.machine.codec._library.decoder
        assert decoder.header_table._current_size <= 4096


def test_what_was_open_is_over_with_a_flood() -> None:
    handler = Waiting()
    with speaking(handler, http2_max_controls=20) as bench:
        peer = Peer(bench)
        peer.begin(head())
        peer.flush()
        peer.push(PingFrame(0, opaque_data=bytes(8)).serialize() * 100)
        assert handler.operations[0].cancelled == 1
        assert peer.streams == {}


def test_bytes_on_a_stream_that_has_ended_do_not_use_up_the_connection_s_window() -> None:
    with speaking(lambda _: Response(b"no"), http2_max_unread=65_535) as bench:
        peer = Peer(bench)
        for _ in range(8):
            number = peer.begin(head(b"POST"), end=False)
            data = peer.library.data_to_send()
            data += DataFrame(number, data=bytes(16_000)).serialize()
            peer.push(data)
            peer.library.outbound_flow_control_window -= 16_000
            peer.flush()
        assert peer.library.outbound_flow_control_window > 0
        assert code(peer) is None
