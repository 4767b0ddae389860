"""What comes from a WebSocket client, and its bounds."""

import zlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode
from websockets.server import ServerProtocol

from clerestory.handlers.websocket.bounds import Bounds, bounds_of
from clerestory.handlers.websocket.handshake import Handshake
from clerestory.handlers.websocket.inbox import Cutter, Inbox, header_of
from tests.handlers.asgi.websocket.bench import asking

TEXT, BINARY, CONT, PING, PONG, CLOSE = (
    Opcode.TEXT,
    Opcode.BINARY,
    Opcode.CONT,
    Opcode.PING,
    Opcode.PONG,
    Opcode.CLOSE,
)


def inbox_of(**limits: float) -> Inbox:
    bounds = bounds_of({f"websocket_{name}": value for name, value in limits.items()})
    handshake = Handshake(asking((b"sec-websocket-extensions", b"permessage-deflate")), bounds)
    handshake.accept(None)
    return Inbox(handshake.open(), bounds)


def wire(*frames: Frame) -> bytes:
    return b"".join(frame.serialize(mask=True) for frame in frames)


def messages(inbox: Inbox) -> list[Any]:
    return [inbox.take() for _ in range(len(inbox.queue))]


def code_of(inbox: Inbox) -> int | None:
    close = inbox.protocol.close_sent
    return int(close.code) if close is not None else None


TALK = (
    Frame(TEXT, "grüße".encode()),
    Frame(BINARY, b"x" * 200),
    Frame(TEXT, b"a", fin=False),
    Frame(PING, b"?"),
    Frame(CONT, b"b", fin=False),
    Frame(CONT, b"c"),
    Frame(BINARY, b""),
    Frame(BINARY, b"y" * 70_000),
)
SAID = ["grüße", b"x" * 200, "abc", b"", b"y" * 70_000]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 13, 4096, 1 << 20])
def test_frames_are_the_same_however_they_are_cut(size: int) -> None:
    inbox, data = inbox_of(), wire(*TALK)
    for at in range(0, len(data), size):
        inbox.feed(data[at : at + size], 0.0)
    assert messages(inbox) == SAID
    assert not inbox.is_over


def test_a_cut_at_every_position_changes_nothing() -> None:
    data = wire(*TALK[:7])
    for at in range(len(data)):
        inbox = inbox_of()
        inbox.feed(data[:at], 0.0)
        inbox.feed(data[at:], 0.0)
        assert messages(inbox) == SAID[:4]


@given(st.lists(st.tuples(st.integers(0, 300) | st.sampled_from([65_535, 65_536]), st.booleans())), st.randoms())
@settings(max_examples=50, deadline=None)
def test_the_cutter_finds_the_ends_that_were_written(frames: list[tuple[int, bool]], random: Any) -> None:
    written = [Frame(BINARY, bytes(size)).serialize(mask=mask) for size, mask in frames]
    data, ends, at = b"".join(written), [], 0
    cutter = Cutter()
    while at < len(data):
        piece, start = data[at : at + random.choice((1, 5, 1000, 100_000))], 0
        while start < len(piece):
            start, whole = cutter.cut(piece, start)
            if whole:
                ends.append(at + start)
        at += len(piece)
    assert ends == [len(b"".join(written[: number + 1])) for number in range(len(written))]


def test_a_header_is_told_by_its_first_bytes() -> None:
    assert header_of(b"\x81") is None
    assert header_of(b"\x81\x05") == (2, 5)
    assert header_of(b"\x81\x85") is None
    assert header_of(b"\x81\x85abcd") == (6, 5)
    assert header_of(b"\x81\x7e\x01") is None
    assert header_of(b"\x81\x7e\x01\x00") == (4, 256)
    assert header_of(b"\x81\xff" + (1 << 40).to_bytes(8, "big") + b"abcd") == (14, 1 << 40)


# --- bounds, each with what is one more


@pytest.mark.parametrize(("size", "code"), [(1000, None), (1001, 1009)])
def test_a_message_has_so_many_bytes(size: int, code: int | None) -> None:
    whole, pieces = inbox_of(max_message=1000), inbox_of(max_message=1000)
    whole.feed(wire(Frame(BINARY, bytes(size))), 0.0)
    pieces.feed(wire(Frame(BINARY, bytes(500), fin=False), Frame(CONT, bytes(size - 500))), 0.0)
    for inbox in (whole, pieces):
        assert (inbox.broken, code_of(inbox)) == (code is not None, code)
        assert messages(inbox) == ([] if code else [bytes(size)])


@pytest.mark.parametrize(("size", "code"), [(100, None), (101, 1009)])
def test_a_frame_has_so_many_bytes(size: int, code: int | None) -> None:
    inbox = inbox_of(max_frame=100)
    inbox.feed(wire(Frame(BINARY, bytes(100), fin=False), Frame(CONT, bytes(size))), 0.0)
    assert code_of(inbox) == code


@pytest.mark.parametrize(("size", "code"), [(1000, None), (1001, 1009)])
def test_the_size_is_that_of_what_is_decompressed(size: int, code: int | None) -> None:
    inbox = inbox_of(max_message=1000, compression=1)
    squeezed = zlib.compressobj(wbits=-15)
    data = squeezed.compress(bytes(size)) + squeezed.flush(zlib.Z_SYNC_FLUSH)
    plain = wire(Frame(BINARY, data[:-4]))
    inbox.feed(bytes((plain[0] | 0x40,)) + plain[1:], 0.0)
    assert code_of(inbox) == code
    assert messages(inbox) == ([] if code else [bytes(size)])


@pytest.mark.parametrize(("count", "code"), [(5, None), (6, 1008)])
def test_a_message_has_so_many_fragments(count: int, code: int | None) -> None:
    inbox = inbox_of(max_fragments=5)
    pieces = [Frame(CONT, b"", fin=number == count - 1) for number in range(1, count)]
    for _ in range(2):  # what counts is the message, not the WebSocket
        inbox.feed(wire(Frame(TEXT, b"", fin=False), *pieces), 0.0)
    assert code_of(inbox) == code


@pytest.mark.parametrize(("count", "code"), [(5, None), (6, 1008)])
@pytest.mark.parametrize("opcode", [PING, PONG])
def test_so_many_control_frames_come_in_a_second(count: int, code: int | None, opcode: Opcode) -> None:
    inbox = inbox_of(max_controls=5)
    for second in (1.0, 2.0):
        inbox.feed(wire(*[Frame(opcode, b"")] * count), second)
    assert code_of(inbox) == code


def test_a_full_queue_decodes_no_more_until_a_message_is_taken() -> None:
    """What one read has brought behind the last message that there is room for is kept as it came."""
    inbox = inbox_of(max_queue=3)
    inbox.feed(wire(*[Frame(TEXT, b"%d" % number) for number in range(5)]), 0.0)
    assert (len(inbox.queue), inbox.messages, inbox.is_full) == (3, 3, True)
    assert inbox.take() == "0"
    assert not inbox.is_full
    inbox.feed(b"", 0.0)
    assert (list(inbox.queue), inbox.is_full) == (["1", "2", "3"], True)
    inbox.take()
    inbox.feed(b"", 0.0)
    assert messages(inbox) == ["2", "3", "4"]


def test_two_messages_of_the_greatest_size_fill_the_queue_however_few_they_are() -> None:
    inbox = inbox_of(max_message=1000)
    inbox.feed(wire(*[Frame(BINARY, bytes(999))] * 3), 0.0)
    assert (len(inbox.queue), inbox.size) == (2, 1998)
    inbox.discard()
    assert (inbox.size, inbox.is_full) == (0, False)


# --- what breaks the protocol


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (Frame(TEXT, b"a").serialize(mask=False), 1002),
        (wire(Frame(CONT, b"a")), 1002),
        (wire(Frame(TEXT, b"a", fin=False), Frame(TEXT, b"b")), 1002),
        (b"\x91\x80abcd", 1002),
        (b"\x83\x80abcd", 1002),
        (b"\x09\x80abcd", 1002),
        (b"\x89\xfe\x00\x7eabcd" + bytes(126), 1002),
        (wire(Frame(TEXT, b"\xff")), 1007),
        (wire(Frame(TEXT, b"\xc3", fin=False), Frame(CONT, b"x")), 1007),
        (b"\xff" * 100, 1002),
    ],
    ids=range(10),
)
def test_what_breaks_the_protocol_is_answered_with_its_code(data: bytes, code: int) -> None:
    for cut in range(len(data)):
        inbox = inbox_of()
        inbox.feed(data[:cut], 0.0)
        inbox.feed(data[cut:], 0.0)
        assert (inbox.broken, code_of(inbox), messages(inbox)) == (True, code, [])
        inbox.feed(wire(Frame(TEXT, b"more")), 0.0)
        assert messages(inbox) == []


def test_a_character_may_be_cut_between_two_fragments() -> None:
    inbox = inbox_of()
    inbox.feed(wire(Frame(TEXT, b"\xc3", fin=False), Frame(CONT, b"\xa4")), 0.0)
    assert messages(inbox) == ["ä"]


def test_behind_the_clients_close_nothing_counts() -> None:
    inbox = inbox_of()
    inbox.feed(wire(Frame(TEXT, b"last"), Frame(CLOSE, b"\x03\xe8bye"), Frame(TEXT, b"late")), 0.0)
    assert (inbox.closed, inbox.broken, messages(inbox)) == (True, False, ["last"])


def test_behind_our_own_close_messages_are_thrown_away() -> None:
    inbox = inbox_of()
    inbox.protocol.send_close(1000)
    inbox.feed(wire(Frame(TEXT, b"late"), Frame(CLOSE, b"\x03\xe8")), 0.0)
    assert (inbox.closed, messages(inbox)) == (True, [])


def test_the_end_of_the_stream_is_told_once() -> None:
    inbox = Inbox(ServerProtocol(), Bounds(1, 1, 1, 1, 1, 1, False))
    inbox.feed_end()
    inbox.feed_end()
