"""What hostile clients send: frames of every kind in any order, cut anywhere, with anything in them. Nothing of it may
harm the server: no shell raises, each connection comes to rest, and what was begun is given back."""

import pytest
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    PriorityFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from clerestory.handlers.api.messages import Request, Response
from clerestory.handlers.echo import echo
from clerestory.server.http2.frames import CONTINUATION, PREFACE, PUSH_PROMISE, Frames
from clerestory.statemachines.h2_connection import State as S
from tests.server.http2.support import Peer, head, speaking
from tests.server.support import Bench, Pending
from tests.support.many import for_each

SETTINGS = SettingsFrame(0).serialize()
ACK = SettingsFrame(0, flags=["ACK"]).serialize()


def conversation() -> bytes:
    """A whole one, with a frame of each kind that a client may send: two requests with bodies, of which one has a head
    in two frames and trailers, and what is sent between them; a third one is begun and reset."""
    from hpack import Encoder

    encoder = Encoder()
    parts = [PREFACE, SETTINGS, ACK]
    block = encoder.encode(head(b"POST", b"/one"))
    parts.append(HeadersFrame(1, block[:5]).serialize())
    parts.append(ContinuationFrame(1, block[5:], flags=["END_HEADERS"]).serialize())
    parts.append(DataFrame(1, data=b"hel").serialize())
    parts.append(PingFrame(0, opaque_data=b"12345678").serialize())
    parts.append(PriorityFrame(5, depends_on=3, stream_weight=7).serialize())
    parts.append(
        HeadersFrame(
            3, encoder.encode(head(b"POST", b"/two")), flags=["END_HEADERS", "PRIORITY", "PADDED"], pad_length=3
        ).serialize()
    )
    parts.append(DataFrame(3, data=b"world", flags=["END_STREAM", "PADDED"], pad_length=7).serialize())
    parts.append(HeadersFrame(5, encoder.encode(head(b"POST", b"/three")), flags=["END_HEADERS"]).serialize())
    parts.append(RstStreamFrame(5, error_code=8).serialize())
    parts.append(WindowUpdateFrame(0, window_increment=100).serialize())
    parts.append(WindowUpdateFrame(1, window_increment=100).serialize())
    parts.append(frame(0xBE, 0xFF, 1, b"unknown"))
    parts.append(DataFrame(1, data=b"lo").serialize())
    parts.append(HeadersFrame(1, encoder.encode([(b"x", b"y")]), flags=["END_HEADERS", "END_STREAM"]).serialize())
    parts.append(GoAwayFrame(0, last_stream_id=0).serialize())
    return b"".join(parts)


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


CONVERSATION = conversation()


async def whole(request: Request) -> Response:
    return Response(request.target.encode() + b" " + await request.read())


def told(bench: Bench, pieces: list[bytes]) -> dict[int, bytes]:
    """What a client that sends these pieces is answered, by stream."""
    peer = Peer(bench, begin=False)
    peer.library.data_to_send()
    for number in (1, 3):
        peer.library.send_headers(number, head(b"POST"))
    peer.library.data_to_send()
    for piece in pieces:
        peer.push(piece)
    peer.take()
    return {number: answer.body for number, answer in peer.answers.items()}


ANSWERS = {1: b"/one hello", 3: b"/two world"}


def test_it_has_a_frame_of_each_kind_that_a_client_may_send() -> None:
    kinds = {one.kind for one in Frames().feed(CONVERSATION)}
    assert kinds == {*range(CONTINUATION + 1), 0xBE} - {PUSH_PROMISE}


@for_each("cut", range(1, len(CONVERSATION)))
def test_a_conversation_is_the_same_cut_at_every_byte(cut: int) -> None:
    with speaking(whole) as bench:
        assert told(bench, [CONVERSATION[:cut], CONVERSATION[cut:]]) == ANSWERS


def test_it_is_the_same_byte_by_byte() -> None:
    with speaking(whole) as bench:
        assert told(bench, [bytes([byte]) for byte in CONVERSATION]) == ANSWERS


@for_each("cut", range(1, len(CONVERSATION)))
@pytest.mark.parametrize("reset", [False, True])
def test_a_client_that_leaves_at_any_byte_leaves_nothing_behind(cut: int, reset: bool) -> None:
    with speaking(whole) as bench:
        peer = Peer(bench, begin=False)
        peer.push(CONVERSATION[:cut])
        if reset:
            peer.client.far.close()
        else:
            peer.half_close()
        bench.settle()
        bench.after(10)
        assert bench.service.open_connections() == 0
        assert [one for one in bench.loop.machines.values() if one is not bench.loop.wake_up] == []


@for_each("at", range(len(PREFACE), len(CONVERSATION)))
def test_a_bit_that_is_turned_harms_nobody(at: int) -> None:
    with speaking(whole) as bench:
        for bit in (0x01, 0x80):
            peer = Peer(bench, begin=False)
            data = bytearray(CONVERSATION)
            data[at] ^= bit
            peer.push(bytes(data))
            peer.client.far.close()
            bench.settle()
        bench.after(30)
        assert bench.service.open_connections() == 0


BLOCKS = [
    b"\x82\x86\x84\x41\x01a",  # GET http / a
    b"\x83\x86\x84\x41\x01a",  # POST
    b"\x82\x86\x84",
    b"\x88",
    b"\x3f\xe1\xff\xff\xff\x0f",  # a table of 4 GiB
    b"\x00\x01A\x01b",
    b"\x00\x01a\x03b\r\n",
    b"\xff" * 20,
    b"",
]
FRAMES = st.builds(
    frame,
    st.integers(0, 12),
    st.sampled_from([0, 1, 4, 5, 8, 0x20, 0x25, 0x2D, 0xFF]),
    st.sampled_from([0, 1, 1, 1, 2, 3, 5, 7, 2**31 - 1, 2**31]),
    st.one_of(
        st.sampled_from(BLOCKS),
        st.binary(max_size=20),
        st.sampled_from([bytes(4), bytes(8), b"\x00\x00\x00\x08", b"\x7f\xff\xff\xff", b"\x00\x04\x7f\xff\xff\xff"]),
    ),
)


@settings(max_examples=300)
@given(st.lists(FRAMES, max_size=12), st.booleans(), st.integers(1, 64))
def test_any_frames_come_to_rest(frames: list[bytes], waits: bool, size: int) -> None:
    operation = Pending()

    async def handler(request: Request) -> Response:
        if waits:
            await operation
        return Response(await request.read())

    with speaking(handler) as bench:
        peer = Peer(bench, begin=False)
        data = PREFACE + SETTINGS + b"".join(frames)
        for at in range(0, len(data), size):
            try:
                peer.push(data[at : at + size])
            except OSError:
                break  # it has been told goodbye
        bench.after(0)
        machines = [one for one in bench.loop.machines.values() if one.engine is bench.service.http2.connections]
        for machine in machines:
            assert machine.state in list(S)
        peer.client.far.close()
        bench.settle()
        bench.after(40)
        assert bench.service.open_connections() == 0
        assert operation.executor is None or operation.cancelled


@settings(max_examples=200)
@given(st.binary(max_size=200))
def test_any_bytes_behind_the_preface_come_to_rest(data: bytes) -> None:
    with speaking(echo) as bench:
        peer = Peer(bench, begin=False)
        peer.push(PREFACE + data)
        peer.client.far.close()
        bench.settle()
        bench.after(40)
        assert bench.service.open_connections() == 0
