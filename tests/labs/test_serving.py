"""A lab's server is a child that is there when it is asked, tells what it has counted, and leaves nothing behind."""

import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest

from benchmarks.processes import ROOT, ServerFailed
from labs import one_at_a_time
from labs.load import ask
from labs.serving import counted, serving


def count_lines(listener: socket.socket, factor: str) -> None:
    client, _ = listener.accept()
    while client.recv(100):
        counted["lines"] += int(factor)
        client.send(b"counted\n")


def count_beside_threads(listener: socket.socket) -> None:
    """Its threads never end by themselves."""
    threading.Thread(target=threading.Event().wait).start()
    counted["started"] = 1
    listener.accept()


class Finalised:
    def __init__(self, client: socket.socket) -> None:
        self.client = client

    def __del__(self) -> None:
        counted["finalised"] += 1
        self.client.send(b"in a finaliser\n")
        threading.Event().wait(60)


def finalise(listener: socket.socket) -> None:
    Finalised(listener.accept()[0])
    threading.Event().wait()


def fail(_: socket.socket) -> None:
    raise RuntimeError("this one does not serve")


def test_it_serves_what_the_function_serves_and_tells_what_was_counted() -> None:
    with serving(count_lines, 3) as server, socket.create_connection(server.address) as client:
        assert ask(client, b"one\n") == b"counted\n"
        assert ask(client, b"two\n") == b"counted\n"
        assert server.counted == {}
    assert server.counted == {"lines": 6}


def test_it_ends_though_its_threads_do_not() -> None:
    with serving(count_beside_threads) as server:
        pass
    assert server.process.returncode == 0


def test_it_ends_though_the_end_came_in_a_finaliser() -> None:
    """What is raised there is only written down, so it is raised again."""
    with serving(finalise) as server, socket.create_connection(server.address) as client:
        assert ask(client, b"") == b"in a finaliser\n"
    assert server.process.returncode == 0
    assert server.counted == {"finalised": 1}


def test_its_usage_is_read_from_the_outside() -> None:
    with serving(one_at_a_time.serve) as server, socket.create_connection(server.address) as client:
        before = server.usage()
        for _ in range(100):
            ask(client, b"hello\n")
        spent = server.usage() - before
    assert spent.cpu > 0
    assert spent.switches > 0


def test_who_does_not_serve_is_named_with_the_last_words() -> None:
    words = r"test_serving.* RuntimeError: this one does not serve"
    with pytest.raises(ServerFailed, match=words), serving(fail) as server:
        server.process.wait(30)


def test_nothing_is_left_of_it() -> None:
    with serving(one_at_a_time.serve) as server:
        assert Path(f"/proc/{server.pid}").exists()
    assert not Path(f"/proc/{server.pid}").exists()


def test_it_ends_with_its_parent() -> None:
    """Also when that has had no time to say good-bye."""
    parent = subprocess.Popen(
        [
            sys.executable,
            "-c",
            textwrap.dedent("""
                from labs import one_at_a_time
                from labs.serving import serving
                with serving(one_at_a_time.serve) as server:
                    print(server.pid, flush=True)
                    input()
            """),
        ],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert parent.stdout is not None
    child = os.pidfd_open(int(parent.stdout.readline()))
    parent.send_signal(signal.SIGKILL)
    parent.communicate()
    until = time.monotonic() + 20
    while not _has_ended(child) and time.monotonic() < until:
        threading.Event().wait(0.01)
    assert _has_ended(child)
    os.close(child)


def _has_ended(process: int) -> bool:
    """Whether the process behind a pidfd is no more: signals reach it no longer, or it only waits to be reaped."""
    pid = next(
        line.split()[1] for line in Path(f"/proc/self/fdinfo/{process}").read_text().splitlines() if line[:4] == "Pid:"
    )
    if pid == "-1":
        return True
    with Path(f"/proc/{pid}/stat").open() as stat:
        return stat.read().rpartition(")")[2].split()[0] == "Z"
