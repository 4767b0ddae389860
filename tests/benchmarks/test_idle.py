"""Idle connections: held, counted, and told when the server has closed them."""

import socket
import sys
import threading
from pathlib import Path

import pytest

from benchmarks.idle import crowd, is_whole, open_one, still_open
from benchmarks.processes import Server, ServerFailed, free_port


@pytest.mark.parametrize(
    ("answer", "whole"),
    [
        (b"", False),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", False),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab", True),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n", False),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n", True),
    ],
)
def test_an_answer_is_whole_by_its_framing(answer: bytes, whole: bool) -> None:
    assert is_whole(answer) is whole


def test_a_crowd_grows_and_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.idle.EACH", 30)
    port = free_port()
    with (
        Server([sys.executable, "-m", "benchmarks.floor", str(port)], port, tmp_path / "log"),
        crowd(port) as idle,
    ):
        idle.grow_to(10)
        idle.grow_to(75)
        assert len(idle._holders) == 4
        assert idle.lost() == 0


def test_a_crowd_tells_of_a_server_that_does_not_answer() -> None:
    with crowd(free_port()) as idle, pytest.raises(ServerFailed, match=r"0 \+ 5 idle connections: .*refused"):
        idle.grow_to(5)


def test_connections_that_the_server_has_closed_are_lost() -> None:
    with socket.create_server(("127.0.0.1", 0)) as entrance:
        clients, peers = [], []
        for _ in range(3):
            clients.append(socket.create_connection(entrance.getsockname()))
            peers.append(entrance.accept()[0])
        assert still_open(clients) == 3
        peers[1].close()
        assert still_open(clients) == 2
        for one in (*clients, *peers):
            one.close()


def test_an_answer_cut_short_is_an_error() -> None:
    def cut(entrance: socket.socket) -> None:
        with entrance.accept()[0] as client:
            client.recv(65536)
            client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab")

    with socket.create_server(("127.0.0.1", 0)) as entrance:
        thread = threading.Thread(target=cut, args=(entrance,))
        thread.start()
        with pytest.raises(ConnectionError, match="closed after"):
            open_one(entrance.getsockname()[1], 1)
        thread.join(10)
