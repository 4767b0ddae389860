"""The end of a listening socket: who has connected is accepted, and nobody new gets in meanwhile."""

import socket
import sys
import threading

import pytest

from clerestory.server.net.backlog import admit_no_more
from clerestory.server.net.sockets import listen
from tests.server.support import PATIENCE

pytestmark = pytest.mark.usefixtures("every_descriptor_back")
on_linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the filter is Linux's")


@on_linux
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_those_who_have_connected_are_accepted_and_nobody_new_is_told_that_he_is_connected(host: str) -> None:
    try:
        listening = listen(host, 0)
    except OSError:
        pytest.skip("no IPv6 here")
    address = listening.getsockname()
    with listening, socket.create_connection(address[:2], PATIENCE) as early, socket.socket(listening.family) as late:
        early.sendall(b"asked")
        assert admit_no_more(listening)
        late.setblocking(False)
        assert late.connect_ex(address) != 0
        accepted, _ = listening.accept()
        with accepted:
            assert accepted.recv(10) == b"asked"
            accepted.sendall(b"answered")
            assert early.recv(10) == b"answered"
        with pytest.raises(BlockingIOError):
            listening.accept()
        with pytest.raises(OSError, match=r".*"):
            late.getpeername()  # it is not connected


@on_linux
def test_a_client_that_was_not_let_in_is_refused_once_the_socket_has_been_closed() -> None:
    listening = listen("127.0.0.1", 0)
    address = listening.getsockname()
    admit_no_more(listening)
    ends: list[BaseException] = []

    def connect() -> None:
        try:
            socket.create_connection(address, PATIENCE).close()
        except OSError as error:
            ends.append(error)

    thread = threading.Thread(target=connect)
    thread.start()
    listening.close()
    thread.join()
    assert [type(end) for end in ends] == [ConnectionRefusedError]


def test_a_socket_that_has_no_such_filter_says_so() -> None:
    with socket.socket(socket.AF_UNIX) as unix:
        assert not admit_no_more(unix)
