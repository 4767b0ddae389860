"""A server that stood still, stopped or blocked, for longer than its deadlines: what has come meanwhile is not late."""

import signal
import socket

import pytest

from tests.conftest import Start
from tests.support.client import Client, clients, request
from tests.support.server import ServerProcess
from tests.support.waiting import eventually, outlast

pytestmark = pytest.mark.usefixtures("within_the_worlds")

MANY = 1500
"""More than one epoll_wait(2) reports."""

PATIENT = 4.0
"""Seconds of the keep-alive deadline: opening that many connections takes less."""


def stop(server: ServerProcess) -> None:
    server.signal(signal.SIGSTOP)
    eventually(lambda: state_of(server) == "T", what="the process to be stopped")


def state_of(server: ServerProcess) -> str:
    """As proc(5): R, S, T (stopped), ..."""
    with open(f"/proc/{server.pid}/stat") as file:
        return file.read().rpartition(")")[2].split()[0]


@pytest.mark.many
def test_requests_that_came_while_the_process_was_stopped_are_answered(start: Start) -> None:
    server = start("--keep-alive-timeout", str(PATIENT))
    with clients(server.address, MANY) as opened:
        server.settle(MANY)
        stop(server)
        for client in opened:
            client.send(request("/hello"))
        outlast(PATIENT)
        server.signal(signal.SIGCONT)
        assert [client.answer().status for client in opened] == [200] * MANY
    assert server.events("request_missed") == []


@pytest.mark.many
def test_requests_that_came_while_a_handler_blocked_the_loop_are_answered(start: Start) -> None:
    server = start("--keep-alive-timeout", str(PATIENT))
    with clients(server.address, MANY) as opened, Client(server.address) as blocking:
        server.settle(MANY + 1)
        blocking.send(request(f"/block/{int((PATIENT + 1) * 1000)}"))
        for client in opened:
            client.send(request("/hello"))
        assert [client.answer().status for client in opened] == [200] * MANY
        assert blocking.answer().status == 200
    assert server.events("request_missed") == []


def test_an_upstreams_answer_that_came_while_the_process_was_stopped_is_handed_on(start: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as upstream:
        upstream.settimeout(20)
        url = f"http://127.0.0.1:{upstream.getsockname()[1]}"
        server = start("--upstream-response-timeout", "1", "--backend-timeout", "1", target=url)
        with Client(server.address, data=request("/")) as client:
            asked, _ = upstream.accept()
            with asked:
                asked.settimeout(20)
                assert b"\r\n\r\n" in asked.recv(65536)
                stop(server)
                asked.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello")
                outlast(2)
                server.signal(signal.SIGCONT)
                answer = client.answer()
                assert (answer.status, answer.body) == (200, b"hello")
