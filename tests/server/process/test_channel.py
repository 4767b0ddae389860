"""The channel: whole lines in whatever pieces they come, and nobody waits for a peer that does not read."""

import pytest

from clerestory.server.process.channel import LONGEST, READ, Channel, pair

pytestmark = pytest.mark.usefixtures("every_descriptor_back")


def test_messages_go_both_ways() -> None:
    ours, socket = pair()
    theirs = Channel(socket)
    assert theirs.tell({"say": "ready"})
    assert theirs.tell({"say": "beat", "requests": 3})
    assert ours.read() == ([{"say": "ready"}, {"say": "beat", "requests": 3}], True)
    assert ours.read() == ([], True)
    assert ours.tell({"order": "retire"})
    assert theirs.read() == ([{"order": "retire"}], True)
    theirs.close()
    assert ours.read() == ([], False)
    ours.close()


def test_a_message_is_whole_whatever_pieces_it_comes_in() -> None:
    ours, socket = pair()
    data = b'{"say": "ready"}\n{"say": "beat"}\n'
    found = []
    with socket:
        for at in range(len(data)):
            socket.send(data[at : at + 1])
            found += ours.read()[0]
    assert found == [{"say": "ready"}, {"say": "beat"}]
    ours.close()


@pytest.mark.parametrize("line", ["Fatal Python error: Aborted", "[1, 2]", "12"])
def test_a_line_that_is_no_message_is_text_also_the_last_without_its_end(line: str) -> None:
    ours, socket = pair()
    socket.send(line.encode() + b"\n" + line.encode())
    assert ours.read() == ([line], True)
    socket.close()
    assert ours.read() == ([line], False)
    ours.close()


def test_a_peer_that_does_not_read_is_not_waited_for() -> None:
    ours, socket = pair()
    told = 0
    while ours.tell({"order": "x" * 1000}):
        told += 1
        assert told < 100_000
    assert told
    socket.close()
    assert not ours.tell({"order": "stop"})
    ours.close()


def test_a_line_without_an_end_is_bounded() -> None:
    ours, socket = pair()
    socket.settimeout(5)
    for _ in range(3 * LONGEST // READ):
        socket.sendall(b"x" * READ)
        for _ in range(4):
            ours.read()
        assert len(ours._rest) <= LONGEST
    assert len(ours._rest) == LONGEST
    socket.close()
    ours.close()
