"""What goes to a WebSocket client."""

from clerestory.handlers.websocket.outbox import JOIN_SIZE, Outbox
from tests.handlers.asgi.websocket.bench import Near

PONG, OTHER_PONG = b"\x8a\x01a", b"\x8a\x01b"


def test_small_frames_go_out_together() -> None:
    outbox, near = Outbox(), Near()
    outbox.add([b"ab", b"cd"])
    outbox.add([b"ef"])
    assert (outbox.size, outbox.wants_to_write) == (6, True)
    assert outbox.push(near) == 6
    assert (near.output, outbox.size, outbox.wants_to_write) == (b"abcdef", 0, False)


def test_a_large_frame_goes_by_itself_and_is_not_copied() -> None:
    outbox, near = Outbox(), Near()
    large = bytes(JOIN_SIZE)
    outbox.add([b"a", large, b"b"])
    assert [outbox.push(near) for _ in range(3)] == [1, JOIN_SIZE, 1]


def test_what_the_socket_does_not_take_waits_and_keeps_its_order() -> None:
    outbox, near = Outbox(), Near()
    near.room = 3
    outbox.add([b"ab", b"cd"])
    assert outbox.push(near) == 3
    outbox.add([b"ef", b""])
    near.room = 100
    outbox.push(near)
    assert (near.output, near.finished) == (b"abcdef", True)


def test_the_end_follows_the_last_frame_once() -> None:
    outbox, near = Outbox(), Near()
    near.room = 0
    outbox.add([b"ab", b""])
    outbox.push(near)
    assert (near.finished, outbox.wants_to_write) == (False, True)
    near.room = 2
    outbox.push(near)
    assert (near.finished, outbox.wants_to_write) == (True, False)


def test_of_pongs_that_wait_only_the_last_is_sent() -> None:
    """RFC 6455 section 5.5.3: so a client that sends pings and reads nothing costs no memory."""
    outbox, near = Outbox(), Near()
    outbox.add([b"ab", *[PONG] * 1000, OTHER_PONG])
    assert (len(outbox.frames), outbox.size) == (2, 5)
    outbox.push(near)
    assert near.output == b"ab" + OTHER_PONG


def test_a_pong_of_which_a_part_has_been_sent_is_sent_whole() -> None:
    outbox, near = Outbox(), Near()
    near.room = 1
    outbox.add([PONG])
    outbox.push(near)
    outbox.add([OTHER_PONG])
    near.room = 100
    outbox.push(near)
    assert near.output == PONG + OTHER_PONG


def test_nothing_is_left_when_there_is_no_socket() -> None:
    outbox = Outbox()
    outbox.add([b"ab"])
    outbox.discard()
    assert (outbox.size, outbox.wants_to_write) == (0, False)
