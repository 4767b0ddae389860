"""The load of WebSockets: its frames are those of RFC 6455, and it counts what comes back."""

import os
import socket
from pathlib import Path

import pytest
from websockets.frames import Frame
from websockets.streams import StreamReader

from benchmarks import hosting, ws
from benchmarks.environment import Peers
from benchmarks.processes import ServerFailed


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65535, 65536])
def test_a_frame_is_what_a_library_reads(size: int) -> None:
    payload = os.urandom(size)
    for mask in (ws.MASK, b""):
        reader = StreamReader()
        reader.feed_data(ws.frame(payload, mask))
        reader.feed_eof()
        reading = Frame.parse(reader.read_exact, mask=bool(mask))
        with pytest.raises(StopIteration) as done:
            next(reading)
        assert done.value.value.data == payload


def test_messages_come_back_and_are_counted(tmp_path: Path, peers: Peers) -> None:
    _, plain = hosting.ours_with(hosting.APP)
    with plain.start(tmp_path, tmp_path, peers) as server:
        assert ws.load(server, 100, 0.3, 4).count > 0
        done = ws.load(server, 65536, 0.3, 4)
        assert done.count > 0
        assert done.rate > 0
        with pytest.raises(ServerFailed, match=r"a handshake was answered with b'HTTP/1\.1 4"):
            ws.opened(server.port, "/\x01")


def test_what_does_not_come_back_as_it_was_is_refused() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(ws.frame(b"something else", b""))
        theirs.shutdown(socket.SHUT_WR)
        with pytest.raises(ServerFailed, match="did not come back as it was"):
            ws.compare(ours, 14)
