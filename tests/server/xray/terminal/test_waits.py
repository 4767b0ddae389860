"""Waiting: what ends a wait, and that no signal is lost, wherever it comes."""

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from clerestory.server.loop.poller import READABLE
from clerestory.server.xray.terminal.client import Client, XRayError
from clerestory.server.xray.terminal.waits import ENDING, Ended, Reached, Waits


@pytest.fixture
def waits() -> Iterator[Waits]:
    found = Waits()
    with found.taken():
        yield found


def test_a_wait_ends_when_the_descriptor_is_ready_or_its_time_is_over(waits: Waits) -> None:
    near, far = socket.socketpair()
    with near, far:
        assert not waits.wait(near.fileno(), READABLE, 0)
        far.send(b"x")
        assert waits.wait(near.fileno(), READABLE, 60)
        assert not waits.wait(None, 0, 0)


@pytest.mark.parametrize("number", ENDING)
def test_a_signal_ends_the_wait_in_which_it_comes(waits: Waits, number: int) -> None:
    timer = threading.Timer(0.05, os.kill, (os.getpid(), number))
    timer.start()
    with pytest.raises(Ended) as raised:
        waits.wait(None, 0, 60)
    timer.join()
    assert raised.value.number == number


def test_a_signal_that_comes_between_two_waits_ends_the_next(waits: Waits) -> None:
    os.kill(os.getpid(), signal.SIGINT)
    with pytest.raises(Ended):
        waits.wait(None, 0, 60)


class Finalized:
    """Something whose finalizer is where the signal comes."""

    def __del__(self) -> None:
        os.kill(os.getpid(), signal.SIGINT)


def test_a_signal_that_comes_where_python_ignores_exceptions_is_not_lost(waits: Waits) -> None:
    """KeyboardInterrupt, raised in a finalizer, is printed and forgotten."""
    Finalized()
    with pytest.raises(Ended):
        waits.wait(None, 0, 60)


def test_another_signal_ends_a_wait_early_and_nothing_else(waits: Waits) -> None:
    before = signal.signal(signal.SIGUSR2, lambda *_: None)
    try:
        os.kill(os.getpid(), signal.SIGUSR2)
        assert not waits.wait(None, 0, 0)
    finally:
        signal.signal(signal.SIGUSR2, before)


def test_signals_are_as_before_afterwards() -> None:
    before = {number: signal.getsignal(number) for number in ENDING}
    with Waits().taken():
        assert all(signal.getsignal(number) != handler for number, handler in before.items())
    assert {number: signal.getsignal(number) for number in ENDING} == before
    assert signal.set_wakeup_fd(-1) == -1


def test_a_second_signal_ends_the_process_at_once() -> None:
    code = """
import os, signal
from clerestory.server.xray.terminal.waits import Waits
waits = Waits()
waits.last_words = lambda: os.write(1, b"put back")
with waits.taken():
    for _ in range(2):
        os.kill(os.getpid(), signal.SIGTERM)
    os.write(1, b"never")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (128 + signal.SIGTERM, b"put back")


def test_a_signal_ends_a_request_that_is_not_answered(waits: Waits) -> None:
    """An x-ray that has stopped, or another program behind its port, keeps nobody who presses Ctrl-C."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        client = Client(f"127.0.0.1:{silent.getsockname()[1]}", waits=waits)
        timer = threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT))
        timer.start()
        with pytest.raises(Ended):
            client.get("/snapshot.json")
        timer.join()


def test_what_is_not_answered_in_time_is_an_error_of_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        client = Client(f"127.0.0.1:{silent.getsockname()[1]}", timeout=0.02)
        with pytest.raises(XRayError, match=r"does not answer within 0\.02 s"):
            client.get("/snapshot.json")


def test_more_than_a_socket_takes_is_sent_piece_by_piece(waits: Waits) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        with Reached.to(socket.AF_INET, server.getsockname(), waits, 20) as near:
            far, _ = server.accept()
            received = bytearray()

            def take() -> None:
                while piece := far.recv(65536):
                    received.extend(piece)

            taking = threading.Thread(target=take)
            taking.start()
            near.sendall(b"x" * (8 << 20))
        taking.join(60)
        far.close()
        assert len(received) == 8 << 20
