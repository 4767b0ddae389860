"""A response is handed on piece by piece, and its last frame ends the stream."""

import os
from typing import Any

import pytest

from clerestory.handlers.api.messages import File
from clerestory.handlers.wire.transport import FileUnreadableError
from clerestory.server.http2.outbox import Left, Outbox
from tests.server.support import temporary

pytestmark = pytest.mark.usefixtures("every_descriptor_back")

HEAD = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n"
FIELDS = [(b":status", b"200"), (b"content-length", b"5")]


def closed(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return True
    return False


class Codec:
    """Notes what is sent; the window is what the test says."""

    def __init__(self, window: int = 100) -> None:
        self.room = window
        self.sent: list[Any] = []

    def window(self, stream: int) -> int:
        return self.room

    def longest(self) -> int:
        return 16

    def send_head(self, stream: int, fields: Any, ended: bool) -> None:
        self.sent.append((list(fields), ended))

    def send_data(self, stream: int, data: bytes, ended: bool) -> None:
        self.room -= len(data)
        self.sent.append((data, ended))


def emit(outbox: Outbox, codec: Codec, most: int = 100, *, last: bool = True) -> Left:
    return outbox.emit(codec, 1, most, last=last)  # type: ignore[arg-type]


def test_a_head_and_its_body_are_two_frames_and_the_last_ends_the_stream() -> None:
    outbox, codec = Outbox(), Codec()
    outbox.put(HEAD, b"hello", b"")
    assert outbox.is_fresh
    assert emit(outbox, codec) is Left.NOTHING
    assert codec.sent == [(FIELDS, False), (b"hello", True)]
    assert (outbox.sent, outbox.is_fresh) == (5, False)


def test_without_a_body_the_head_ends_the_stream() -> None:
    outbox, codec = Outbox(), Codec()
    outbox.put(HEAD, b"", b"")
    emit(outbox, codec)
    assert codec.sent == [(FIELDS, True)]


def test_a_piece_that_is_not_the_last_ends_nothing() -> None:
    outbox, codec = Outbox(), Codec()
    outbox.put(HEAD, b"he", b"")
    assert emit(outbox, codec, last=False) is Left.NOTHING
    outbox.put(b"", b"llo", b"")
    emit(outbox, codec)
    assert codec.sent == [(FIELDS, False), (b"he", False), (b"llo", True)]


def test_an_empty_last_piece_is_an_empty_last_frame() -> None:
    outbox, codec = Outbox(), Codec()
    outbox.put(b"", b"", b"")
    emit(outbox, codec)
    assert codec.sent == [(b"", True)]


def test_trailers_end_the_stream() -> None:
    outbox, codec = Outbox(), Codec()
    outbox.put(b"", b"hello", b"x-sum: 1\r\nx-two: 2\r\n")
    assert emit(outbox, codec) is Left.NOTHING
    assert codec.sent == [(b"hello", False), ([(b"x-sum", b"1"), (b"x-two", b"2")], True)]


@pytest.mark.parametrize("most", [1, 4, 5])
def test_it_goes_on_where_it_was(most: int) -> None:
    outbox, codec = Outbox(), Codec()
    outbox.put(HEAD, b"hello", b"")
    while emit(outbox, codec, most) is Left.MORE:
        pass
    assert b"".join(data for data, _ in codec.sent[1:]) == b"hello"
    assert [ended for _, ended in codec.sent].count(True) == 1


def test_no_frame_is_longer_than_the_client_takes() -> None:
    outbox, codec = Outbox(), Codec()
    outbox.put(b"", b"x" * 40, b"")
    while emit(outbox, codec, 1000) is Left.MORE:
        pass
    assert [len(data) for data, _ in codec.sent] == [16, 16, 8]


def test_a_window_that_is_used_up_is_not_overrun() -> None:
    outbox, codec = Outbox(), Codec(3)
    outbox.put(HEAD, b"hello", b"")
    assert emit(outbox, codec) is Left.MORE
    assert emit(outbox, codec) is Left.NO_WINDOW
    codec.room = 2
    assert emit(outbox, codec) is Left.NOTHING
    assert codec.sent[1:] == [(b"hel", False), (b"lo", True)]


@pytest.mark.parametrize("size", [0, 1, 40])
def test_a_file_is_read_as_it_is_sent_and_closed(size: int) -> None:
    data = os.urandom(size)
    outbox, codec = Outbox(), Codec()
    file = File(temporary(data), 0, size)
    outbox.put(HEAD, file, b"")
    while emit(outbox, codec) is Left.MORE:
        pass
    assert b"".join(data for data, _ in codec.sent[1:]) == data
    assert codec.sent[-1][1]
    assert closed(file.descriptor)


def test_a_file_that_is_too_short_is_found_before_its_head_is_sent() -> None:
    outbox = Outbox()
    file = File(temporary(b"abc"), 0, 4)
    with pytest.raises(FileUnreadableError):
        outbox.put(HEAD, file, b"")
    assert not outbox.is_fresh
    file.close()


def test_one_that_becomes_too_short_breaks_off() -> None:
    outbox, codec = Outbox(), Codec()
    file = File(temporary(b"x" * 40), 0, 40)
    outbox.put(HEAD, file, b"")
    assert emit(outbox, codec) is Left.MORE
    os.ftruncate(file.descriptor, 20)
    assert emit(outbox, codec, 4) is Left.MORE
    with pytest.raises(FileUnreadableError):
        emit(outbox, codec)
    outbox.clear()
    assert closed(file.descriptor)
