"""Accounting of real children: their CPU, their memory, their end."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.machine import SERVER_CPU
from benchmarks.processes import Server, ServerFailed, cpu_seconds, free_port, memory, tree

BURN = "import sys, time\nwhile time.process_time() < 0.3: pass\nprint('done', flush=True)\nsys.stdin.read()"
PARENT = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {BURN!r}])"


@pytest.fixture
def burning(request: pytest.FixtureRequest) -> Iterator[subprocess.Popen[str]]:
    """A process that, itself or by its child, spends 0.3 s of CPU and says so."""
    command = [sys.executable, "-c", request.param]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == "done\n"
        yield process
        process.stdin.close()


@pytest.mark.parametrize("burning", [BURN, PARENT], indirect=True, ids=["itself", "by its child"])
def test_cpu_is_that_of_the_whole_tree(burning: subprocess.Popen[str]) -> None:
    spent = cpu_seconds(burning.pid)
    assert spent >= 0.28
    assert burning.pid in tree(burning.pid)


@pytest.mark.parametrize("burning", [BURN, PARENT], indirect=True, ids=["itself", "by its child"])
def test_memory_is_that_of_the_whole_tree(burning: subprocess.Popen[str]) -> None:
    held = memory(burning.pid)
    assert held.rss > held.own > 1024 * 1024


def test_a_process_that_has_gone_costs_nothing() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    assert cpu_seconds(process.pid) == 0
    assert memory(process.pid).rss == 0


def floor(tmp_path: Path) -> Server:
    port = free_port()
    return Server([sys.executable, "-m", "benchmarks.floor", str(port)], port, tmp_path / "log")


def test_a_server_is_pinned_and_ends_with_its_whole_group(tmp_path: Path) -> None:
    with floor(tmp_path) as server:
        pid = server.process.pid
        assert os.sched_getaffinity(pid) == {SERVER_CPU}
        assert os.getpgid(pid) == pid
    assert server.process.returncode is not None
    with pytest.raises(ProcessLookupError):
        os.killpg(pid, 0)


def test_a_server_that_does_not_start_is_told_with_its_last_words(tmp_path: Path) -> None:
    server = Server([sys.executable, "-c", "raise SystemExit('no such option')"], free_port(), tmp_path / "log")
    with pytest.raises(ServerFailed, match="ended by itself with status 1: no such option"), server:
        pass


def test_a_server_that_ignores_sigterm_is_ended_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.processes.STOPPING", 0.1)
    port = free_port()
    stubborn = f"""
import signal, socket
signal.signal(signal.SIGTERM, signal.SIG_IGN)
with socket.create_server(("127.0.0.1", {port})): signal.pause()
"""
    with Server([sys.executable, "-c", stubborn], port, tmp_path / "log") as server:
        pass
    assert server.process.returncode == -9
