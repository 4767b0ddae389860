"""Where it runs: a service manager, a container, another user."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Start
from tests.e2e.workers.fleet import pids
from tests.support.client import Client
from tests.support.server import ROOT
from tests.support.waiting import eventually


class Manager:
    """A service manager's socket, and what has come by it."""

    def __init__(self, place: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.path = str(place / "notify")
        self.socket.bind(self.path)
        self.socket.settimeout(60)
        self.told: list[dict[str, str]] = []

    def wait_for(self, name: str) -> dict[str, str]:
        """The next message that says `name`."""
        while True:
            lines = self.socket.recv(4096).decode().split("\n")
            self.told.append(dict(line.split("=", 1) for line in lines))
            if name in self.told[-1]:
                return self.told[-1]


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    made = Manager(tmp_path)
    yield made
    made.socket.close()


@pytest.mark.parametrize("options", [("--workers", "2"), ()])
def test_the_service_manager_is_told_of_start_and_end(start: Start, manager: Manager, options: tuple[str, ...]) -> None:
    server = start(*options, "--no-xray", environment={"NOTIFY_SOCKET": manager.path, "WATCHDOG_USEC": "500000"})
    ready = manager.wait_for("READY")
    assert ready["MAINPID"] == str(server.pid)
    manager.wait_for("WATCHDOG")
    manager.wait_for("WATCHDOG")
    server.signal()
    manager.wait_for("STOPPING")
    assert server.wait() == 0


def test_a_reload_is_told_with_its_time_and_ends_with_ready(start: Start, manager: Manager) -> None:
    """systemd.service(5), Type=notify-reload: RELOADING and MONOTONIC_USEC in one message, then READY."""
    server = start("--workers", "1", "--no-xray", environment={"NOTIFY_SOCKET": manager.path})
    manager.wait_for("READY")
    before = time.monotonic()
    server.signal(signal.SIGHUP)
    told = int(manager.wait_for("RELOADING")["MONOTONIC_USEC"]) / 1e6
    assert before <= told <= time.monotonic()
    manager.wait_for("READY")


def test_a_reload_that_fails_ends_with_ready_too_and_says_so(start: Start, manager: Manager, tmp_path: Path) -> None:
    module = tmp_path / "failing_reload.py"
    module.write_text("from clerestory.handlers.echo import echo as app\n")
    how = ("--workers", "1", "--no-xray", "--app-dir", str(tmp_path))
    server = start(*how, target="failing_reload:app", environment={"NOTIFY_SOCKET": manager.path})
    manager.wait_for("READY")
    module.write_text("raise RuntimeError\n")
    server.signal(signal.SIGHUP)
    manager.wait_for("RELOADING")
    assert "failed" in manager.wait_for("READY")["STATUS"]
    server.wait_for("reload_failed")
    server.noise.clear()


@pytest.mark.parametrize("options", [("--workers", "1"), ()])
def test_the_pid_file_names_the_process_that_takes_signals(
    start: Start, tmp_path: Path, options: tuple[str, ...]
) -> None:
    path = tmp_path / "pid"
    server = start(*options, "--no-xray", "--pid-file", str(path))
    assert path.read_text() == f"{server.pid}\n"
    server.signal()
    assert server.wait() == 0
    assert not path.exists()


def others_can_run_python() -> bool:
    """Whether we may become another user, who may execute this Python."""
    try:
        return subprocess.run([sys.executable, "-c", ""], user=65534, cwd=ROOT, check=False).returncode == 0
    except OSError:
        return False


@pytest.mark.skipif(not others_can_run_python(), reason="no other user can run this Python")
def test_workers_belong_to_the_user_and_the_sockets_were_bound_before(start: Start) -> None:
    server = start("--workers", "1", "--no-xray", "--user", "65534", "--group", "65534")
    for pid in (server.pid, *pids(server)):
        status = Path(f"/proc/{pid}/status").read_text()
        assert "Uid:\t65534\t65534\t65534\t65534" in status
    with Client(server.address) as client:
        assert client.get("/hello").status == 200


INIT = """
import os, signal, sys
assert os.getpid() == 1
os.execv(sys.executable, [sys.executable, "-m", "clerestory", *sys.argv[1:]])
"""


def can_unshare() -> bool:
    """Whether this process may make a process namespace."""
    try:
        return subprocess.run(["unshare", "--pid", "--fork", "true"], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


@pytest.mark.skipif(not can_unshare(), reason="no process namespace may be made here")
def test_it_is_the_first_process_of_a_container_and_reaps_orphans(tmp_path: Path) -> None:
    """A grandchild whose parent has gone is given to process 1, which waits for it; SIGTERM ends it in order."""
    (tmp_path / "orphaning.py").write_text(
        "import os, subprocess\n"
        "from clerestory.handlers.api.messages import Response\n"
        "def app(request):\n"
        "    subprocess.run(['sh', '-c', 'true & exit 0'], check=True)\n"
        "    states = [open(f'/proc/{p}/stat').read().rpartition(')')[2].split() for p in os.listdir('/proc')\n"
        "              if p.isdigit() and os.path.exists(f'/proc/{p}/stat')]\n"
        "    zombies = [s for s in states if s[0] == 'Z' and s[1] == '1']\n"
        "    return Response(str(len(zombies)).encode())\n"
    )
    log = tmp_path / "log"
    words = ["orphaning:app", "--app-dir", str(tmp_path), "--workers", "1", "--no-xray"]
    words += ["--listen", f"unix:{tmp_path}/s"]
    with log.open("wb") as file:
        process = subprocess.Popen(
            ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child", sys.executable, "-c", INIT, *words],
            cwd=ROOT,
            stderr=file,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
        )
    try:
        eventually(lambda: b"listening" in log.read_bytes(), 60, "its start")

        def ask() -> bytes:
            with socket.socket(socket.AF_UNIX) as client:
                client.settimeout(20)
                client.connect(f"{tmp_path}/s")
                client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                data = b""
                while piece := client.recv(4096):
                    data += piece
                return data.rpartition(b"\r\n\r\n")[2]

        for _ in range(5):
            ask()
        eventually(lambda: ask() in (b"0", b"1"), 20, "the end of the orphans")
        first = int(Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()[0])
        os.kill(first, signal.SIGTERM)
        assert process.wait(60) == 0
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
