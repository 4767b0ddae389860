"""What the usual path costs in system calls: a request in one segment is one recv, one send and a share of a wait."""

import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conftest import Start
from tests.support.client import Client, clients, request
from tests.support.figures import figure
from tests.support.server import ServerProcess
from tests.support.waiting import eventually

REQUESTS = 1000


@pytest.fixture(scope="module")
def tracing(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Skips where no other process can be traced."""
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    out = tmp_path_factory.mktemp("strace") / "out"
    tried = subprocess.run(["strace", "-c", "-o", str(out), "true"], capture_output=True, check=False)
    if tried.returncode:
        pytest.skip(f"strace cannot trace here: {tried.stderr.decode().strip()}")


@contextmanager
def traced(server: ServerProcess, out: Path) -> Iterator[dict[str, int]]:
    """Counts the system calls of the server while the block runs; the counts are there after it."""
    counts: dict[str, int] = {}
    tracer = subprocess.Popen(["strace", "-c", "-f", "-o", str(out), "-p", str(server.pid)], stderr=subprocess.PIPE)
    try:
        assert tracer.stderr is not None
        tasks = Path(f"/proc/{server.pid}/task")
        eventually(
            lambda: all("TracerPid:\t0\n" not in (task / "status").read_text() for task in tasks.iterdir()),
            what="the tracer",
        )
        yield counts
    finally:
        tracer.send_signal(signal.SIGINT)
        tracer.communicate(timeout=20)
    for line in out.read_text().splitlines():
        match = re.fullmatch(r"\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)\s+(?:\d+\s+)?(\w+)", line)
        if match is not None and match[2] != "total":
            counts[match[2]] = int(match[1])


@pytest.mark.usefixtures("tracing")
def test_a_request_on_a_kept_connection_is_a_wait_a_recv_and_a_send(
    start: Start, tmp_path: Path, choices: list[str]
) -> None:
    server = start("--no-access-log", "--max-requests", "1000000")
    with Client(server.address) as client:
        for _ in range(20):
            client.get("/json")
        with traced(server, tmp_path / "out") as counts:
            for _ in range(REQUESTS):
                client.get("/json")
    figure(f"system calls of {REQUESTS} requests, one after the other: {counts}")
    assert counts["recvfrom"] == REQUESTS
    assert counts["sendto"] == REQUESTS
    assert counts.get("epoll_ctl", 0) == 0
    waits = sum(counts.get(name, 0) for name in ("epoll_wait", "epoll_pwait", "poll", "select", "pselect6"))
    assert waits <= REQUESTS * 1.05 + 50
    allowed = {
        "recvfrom",
        "sendto",
        "epoll_wait",
        "epoll_pwait",
        "poll",
        "select",
        "pselect6",
        "futex",
        "restart_syscall",
    }
    assert {name for name, count in counts.items() if count > 20} <= allowed


@pytest.mark.usefixtures("tracing")
def test_a_small_file_is_opened_read_closed_and_sent(start: Start, tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "file").write_bytes(b"x" * 8192)
    server = start("--no-access-log", "--max-requests", "1000000", target=str(root))
    with Client(server.address) as client:
        client.get("/file")
        with traced(server, tmp_path / "out") as counts:
            for _ in range(REQUESTS):
                assert len(client.get("/file").body) == 8192
    figure(f"system calls of {REQUESTS} requests for a small file: {counts}")
    looking = {name: counts.get(name, 0) for name in ("openat", "newfstatat", "fstat", "close", "pread64")}
    # Each second it is searched for: what lies beside it, too.
    assert all(count <= REQUESTS * 1.2 for count in looking.values()), looking
    assert (counts["recvfrom"], counts["sendto"], counts.get("sendfile", 0)) == (REQUESTS, REQUESTS, 0)


@pytest.mark.usefixtures("tracing")
def test_requests_of_many_connections_share_a_wait(start: Start, tmp_path: Path) -> None:
    server = start("--no-access-log", "--max-requests", "1000000")
    with clients(server.address, 50, request("/json")) as opened:
        for client in opened:
            assert client.answer().status == 200
        with traced(server, tmp_path / "out") as counts:
            for _ in range(20):
                for client in opened:
                    client.send(request("/json"))
                for client in opened:
                    assert client.answer().status == 200
    figure(f"system calls of 1,000 requests on 50 connections: {counts}")
    assert (counts["recvfrom"], counts["sendto"], counts.get("epoll_ctl", 0)) == (1000, 1000, 0)
    waits = sum(counts.get(name, 0) for name in ("epoll_wait", "epoll_pwait", "poll", "select", "pselect6"))
    assert waits <= 1050


@pytest.mark.usefixtures("tracing")
def test_an_idle_server_with_connections_only_sweeps(start: Start, tmp_path: Path) -> None:
    server = start("--no-access-log")
    with clients(server.address, 50, request("/json")) as opened:
        for client in opened:
            assert client.answer().status == 200
        with traced(server, tmp_path / "out") as counts:
            cpu = server.cpu()
            with pytest.raises(AssertionError):
                eventually(lambda: server.cpu() - cpu > 0.5, 1.5)
    assert sum(counts.values()) < 60
