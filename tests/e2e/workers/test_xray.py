"""One x-ray for all workers of a real server: found by one name, whoever answers the clients, whatever becomes of the
workers."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import pytest

from tests.conftest import Start
from tests.e2e.workers.fleet import pids
from tests.support.client import Client, request
from tests.support.server import ROOT, ServerProcess
from tests.support.waiting import eventually
from tests.support.xray import asked, look, read

OPTIONS = ("--workers", "2", "--xray", "127.0.0.1:0", "--no-access-log")


@pytest.fixture
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for the runtime files of this test's servers."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return tmp_path / "clerestory"


def command(*words: str, status: int = 0) -> str:
    """What a command prints."""
    done = subprocess.run(
        [sys.executable, "-m", "clerestory", *words], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == status, (done.stdout, done.stderr)
    return done.stdout


def held(server: ServerProcess, count: int) -> list[Client]:
    """Connections that wait for their answer, in each of the two workers at least one."""
    clients: list[Client] = []

    def spread() -> bool:
        clients.append(Client(server.address, data=request("/wait/never")))
        rows = look(server, "/connections.json?state=querying_backend")["rows"]
        return len(rows) >= count and {row["worker"] for row in rows} == {1, 2}

    eventually(spread, 60, "a connection in each worker")
    return clients


def listening(pid: int) -> int:
    """How many sockets of that process listen on TCP, as the kernel has it."""
    folder = Path(f"/proc/{pid}/fd")
    links = {os.readlink(entry) for entry in folder.iterdir() if entry.exists() or entry.is_symlink()}
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    return sum(f"socket:[{line.split()[9]}]" in links for line in lines if line.split()[3] == "0A")


def test_one_name_one_address_and_every_connection(start: Start, runtime: Path) -> None:
    server = start(*OPTIONS)
    assert [path.name for path in runtime.iterdir()] == [f"{server.pid}.json"]
    assert [listening(pid) for pid in pids(server)] == [1, 1]  # the clients' alone
    clients = held(server, 2)
    printed = command("ps")
    assert " GET /wait/never QUERYING_BACKEND " in printed
    assert "\n1:" in printed
    assert "\n2:" in printed
    identity = next(line.split()[0] for line in printed.splitlines() if line.startswith("2:"))
    assert f"{identity}  GET /wait/never QUERYING_BACKEND " in command("show", identity)
    assert command("close", identity, "--yes").endswith("1 connection closed.\n")
    eventually(lambda: identity not in command("ps", "--json"), 60)
    left = json.loads(command("ps", "--json"))["total"]
    assert command("close", "--path", "/wait", "--yes").endswith(f"{left} connection{'s' * (left > 1)} closed.\n")
    assert json.loads(command("waits", "--json", "--route", "/wait"))["routes"][0]["requests"] >= 2
    for client in clients:
        client.close()


def test_a_worker_that_was_stopped_is_shown_as_such_and_nobody_waits_for_it(start: Start) -> None:
    server = start(*OPTIONS)
    clients = held(server, 2)
    first, second = look(server, "/snapshot.json")["workers"]
    os.kill(first["pid"], signal.SIGSTOP)
    try:
        eventually(lambda: look(server, "/snapshot.json")["workers"][0]["answers"] is False, 60)
        snapshot = look(server, "/snapshot.json")
        assert snapshot["workers"][1]["answers"]
        assert snapshot["banners"][0]["kind"] == "silent"
        assert f"(pid {first['pid']}), does not answer" in snapshot["banners"][0]["text"]
        assert {row["worker"] for row in look(server, "/connections.json")["rows"]} == {second["worker"]}
        assert read(server, "/readyz") == "ready\n"
        assert 'clerestory_worker_up{worker="1",generation="1"} 0' in read(server, "/metrics")
    finally:
        os.kill(first["pid"], signal.SIGCONT)
    eventually(lambda: look(server, "/snapshot.json")["workers"][0]["answers"], 60, "its answer")
    for client in clients:
        client.close()


def test_an_old_generation_is_there_with_whom_it_waits_for_and_its_counts_stay(start: Start) -> None:
    server = start(*OPTIONS, "--body-timeout", "120", "--body-min-rate", "0")
    for _ in range(5):
        with Client(server.address) as client:
            assert client.get("/hello").status == 200
    upload = request("/read", "Content-Length: 10", method="POST") + b"12345"
    with Client(server.address, data=upload) as uploading:
        eventually(lambda: look(server, "/connections.json?state=reading_body")["rows"], 60)
        server.signal(signal.SIGHUP)
        server.wait_for("reloaded", patience=60)

        def old() -> list[Any]:
            return [one for one in look(server, "/snapshot.json")["workers"] if one["generation"] == 1]

        eventually(lambda: len(old()) == 1, 60, "the end of the other old one")
        (only,) = old()
        (waits_for,) = only["waits_for"]
        assert only["state"] == "RETIRING"
        assert f"{only['worker']}:" in waits_for
        assert " POST /read READING_BODY " in waits_for
        uploading.send(b"67890")
        assert uploading.answer().status == 200
    eventually(lambda: not old(), 60, "the end of the old generation")
    assert look(server, "/snapshot.json")["totals"]["statuses"] == {"200": 6}
    assert 'clerestory_requests_total{class="2xx"} 6\n' in read(server, "/metrics")


def test_a_reload_does_not_make_it_unready_and_a_drain_does(start: Start) -> None:
    server = start(*OPTIONS, "--last-request-timeout", "0.2")
    with Client(server.address, data=request("/wait/ready")) as waiting, Client(server.address) as other:
        assert other.get("/hello").status == 200
        assert read(server, "/readyz") == "ready\n"
        server.signal(signal.SIGHUP)
        server.wait_for("reloading")
        while not server.events("reloaded"):
            assert read(server, "/readyz") == "ready\n"
        server.signal()
        eventually(lambda: [event for event in server.events("draining") if "workers" in event], 60, "the drain")
        url = server.wait_for("xray")["url"]
        with pytest.raises(HTTPError) as refused:
            asked(url, "readyz")
        assert refused.value.code == 503
        refused.value.close()
        del waiting


def test_an_x_ray_that_cannot_be_had_does_not_end_the_start(start: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        for options in (("--workers", "1"), ()):
            server = start(*options, "--xray", address)
            told = server.wait_for("xray_unavailable")
            assert told["level"] == "info"
            assert address in told["reason"]
            with Client(server.address) as client:
                assert client.get("/hello").status == 200


def test_no_secret_is_in_a_workers_environment(start: Start) -> None:
    """What an application executes inherits it."""
    server = start("--workers", "1", "--xray", "127.0.0.1:0", environment={"CLERESTORY_XRAY_TOKEN": ""})
    (worker,) = pids(server)
    environment = Path(f"/proc/{worker}/environ").read_bytes().split(b"\0")
    assert [one for one in environment if one.startswith(b"CLERESTORY_XRAY_TOKEN=")] == [b"CLERESTORY_XRAY_TOKEN="]
