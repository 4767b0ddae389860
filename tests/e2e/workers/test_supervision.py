"""The supervisor: who ends is replaced, who blocks is named, and everything ends when it is told to."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import Start
from tests.e2e.workers.fleet import pids, runs
from tests.support.client import Client, CutShort, request
from tests.support.load import Load
from tests.support.server import ROOT
from tests.support.waiting import eventually


def test_a_worker_that_is_killed_is_named_and_replaced(start: Start) -> None:
    server = start("--workers", "2", "--no-xray")
    victim = min(pids(server))
    os.kill(victim, signal.SIGKILL)
    lost = server.wait_for("worker_lost")
    assert (lost["pid"], lost["ended"]) == (victim, "signal SIGKILL")
    server.wait_for("worker_ready", 3)
    assert len(pids(server)) == 2
    assert victim not in pids(server)
    with Client(server.address) as client:
        assert client.get("/hello").status == 200


def test_a_worker_that_is_told_to_end_by_somebody_is_replaced_and_loses_nothing(start: Start) -> None:
    server = start("--workers", "2", "--no-xray", "--no-access-log")
    with Load(server.address, {"/hello": b"hello\n", "/sleep/20": b"slept\n"}) as load:
        victim = min(pids(server))
        os.kill(victim, signal.SIGTERM)
        eventually(lambda: not runs(victim), 60, "the end of the worker")
        server.wait_for("worker_ready", 3, patience=60)
        load.reach(load.total + 100)
    assert load.failures == []
    assert server.events("worker_lost") == []


def test_workers_end_in_order_when_their_supervisor_is_killed(start: Start) -> None:
    server = start("--workers", "2", "--no-xray")
    workers = pids(server)
    with Client(server.address, data=request("/sleep/1500")) as client, Client(server.address) as other:
        assert other.get("/hello").status == 200
        server.process.kill()
        assert client.answer().status == 200
    eventually(lambda: not any(map(runs, workers)), 60, "the end of the workers")
    assert server.wait() == -signal.SIGKILL
    assert len(server.events("supervisor_gone")) == 2


def test_sigterm_finishes_what_is_in_flight_in_every_worker(start: Start) -> None:
    server = start("--workers", "2", "--no-xray")
    workers = pids(server)
    opened = [Client(server.address, data=request("/sleep/1000")) for _ in range(8)]
    try:
        with Client(server.address) as other:
            assert other.get("/hello").status == 200
        server.signal()
        assert [client.answer().status for client in opened] == [200] * 8
    finally:
        for client in opened:
            client.close()
    assert server.wait() == 0
    assert not any(map(runs, workers))
    with socket.socket() as refused:
        assert refused.connect_ex(server.address) != 0


def test_a_second_signal_ends_all_at_once(start: Start) -> None:
    server = start("--workers", "2", "--no-xray")
    workers = pids(server)
    with Client(server.address, data=request("/wait/never")) as client, Client(server.address) as other:
        assert other.get("/hello").status == 200
        server.signal()
        server.wait_for("draining")
        server.signal()
        assert server.wait(10) == 0
        with pytest.raises(CutShort):
            client.answer()
    assert not any(map(runs, workers))


def test_sigquit_ends_all_at_once(start: Start) -> None:
    if signal.getsignal(signal.SIGQUIT) is signal.SIG_IGN:
        pytest.skip("it is ignored here, and so by the server")
    server = start("--workers", "2", "--no-xray")
    workers = pids(server)
    server.signal(signal.SIGQUIT)
    assert server.wait(10) == 1
    eventually(lambda: not any(map(runs, workers)), 10, "the end of the workers")


def test_sigusr1_dumps_every_worker(start: Start) -> None:
    server = start("--workers", "2", "--no-xray")
    server.signal(signal.SIGUSR1)
    server.wait_for("xray_dump", 2)


def test_a_first_start_that_fails_ends_the_server_with_the_workers_own_words(tmp_path: Path) -> None:
    """Said once, although four workers were asked for, and with the exit status of the worker."""
    (tmp_path / "failing_at_start.py").write_text("raise RuntimeError('no database')\n")
    words = ["failing_at_start:app", "--app-dir", str(tmp_path), "--workers", "4", "--port", "0", "--no-xray"]
    done = subprocess.run(
        [sys.executable, "-m", "clerestory", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=os.environ | {"NO_COLOR": "1"},
    )
    assert done.returncode == 2
    assert done.stderr.count("no database") == 1
    assert done.stderr.count("worker_start_failed") == 1
    assert "start_failed" in done.stderr.splitlines()[-1]


def test_a_start_that_fails_later_is_put_off_longer_each_time(start: Start, tmp_path: Path) -> None:
    module = tmp_path / "failing_later.py"
    module.write_text("from clerestory.handlers.echo import echo as app\n")
    options = ("--workers", "1", "--no-xray", "--worker-back-off", "0.2", "--app-dir", str(tmp_path))
    server = start(*options, target="failing_later:app")
    module.write_text("raise RuntimeError('no database')\n")
    os.kill(min(pids(server)), signal.SIGKILL)
    server.wait_for("worker_put_off", 3, patience=60)
    delays = [event["seconds"] for event in server.events("worker_put_off")]
    assert delays == sorted(set(delays))
    module.write_text("from clerestory.handlers.echo import echo as app\n")
    server.wait_for("worker_ready", 2, patience=60)
    with Client(server.address) as client:
        assert client.get("/", method="POST", body=b"again").body == b"again"
    assert "no database" in "".join(server.noise)
    server.noise.clear()


def test_a_worker_whose_loop_stands_still_is_named_with_its_request_and_replaced(start: Start) -> None:
    server = start("--workers", "1", "--no-xray", "--blocked-timeout", "1")
    (blocked,) = pids(server)
    with Client(server.address, data=request("/block/60000")) as client:
        told = server.wait_for("worker_blocked", patience=60)
        assert (told["pid"], told["request"]) == (blocked, "GET /block/60000")
        assert any("applications.py" in line for line in told["stack"])
        server.wait_for("worker_ready", 2, patience=60)
        assert client.everything()[1] == b""
    assert server.wait_for("worker_lost")["ended"] == "signal SIGKILL"
    with Client(server.address) as client:
        assert client.get("/hello").status == 200


def test_a_worker_whose_interpreter_stands_still_tells_its_stack_as_it_dies(start: Start, tmp_path: Path) -> None:
    """Code that holds the interpreter's lock stops the watchdog, too: the supervisor hears nothing."""
    (tmp_path / "holding_the_lock.py").write_text(
        "import ctypes\n"
        "from clerestory.handlers.echo import echo\n"
        "def hold(request):\n"
        "    if request.target == '/hold':\n"
        "        ctypes.PyDLL(None).sleep(60)\n"
        "    return echo(request)\n"
    )
    options = ("--workers", "1", "--no-xray", "--blocked-timeout", "1", "--app-dir", str(tmp_path))
    server = start(*options, target="holding_the_lock:hold")
    with Client(server.address, data=request("/hold")):
        server.wait_for("worker_silent", patience=60)
        lost = server.wait_for("worker_lost", patience=60)
        assert lost["ended"] == "signal SIGABRT"
        assert any("holding_the_lock.py" in line for line in lost["stack"])
    server.wait_for("worker_ready", 2, patience=60)


def test_a_worker_that_has_answered_enough_is_replaced_and_loses_nothing(start: Start) -> None:
    server = start("--workers", "2", "--no-xray", "--no-access-log", "--max-requests-per-worker", "200")
    with Load(server.address, {"/hello": b"hello\n", "/sleep/20": b"slept\n"}) as load:
        server.wait_for("worker_recycled", 2, patience=60)
        server.wait_for("worker_ready", 4, patience=60)
        load.reach(load.total + 100)
    assert load.failures == []
    assert "requests" in server.wait_for("worker_recycled")["why"]
    assert server.events("worker_lost") == []


def test_a_worker_that_takes_too_much_memory_is_replaced_and_serves_until_then(start: Start) -> None:
    """Ready before retire: the first worker answers until the second one is ready."""
    server = start("--workers", "1", "--no-xray", "--no-access-log", "--max-memory", "1M")
    with Load(server.address, {"/hello": b"hello\n"}) as load:
        assert "memory" in server.wait_for("worker_recycled", patience=60)["why"]
        server.wait_for("worker_ready", 2, patience=60)
        load.reach(load.total + 100)
    assert load.failures == []
