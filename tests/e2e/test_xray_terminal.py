"""The terminal against real servers: `top` in a pseudo-terminal that is typed into and resized, `ps` of ten thousand
connections, and how a server is found."""

import fcntl
import os
import pty
import re
import resource
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Start
from tests.support.client import clients
from tests.support.scenarios import Stage, scenario
from tests.support.server import ROOT, ServerProcess
from tests.support.waiting import PATIENCE, eventually

COMMAND = [sys.executable, "-m", "clerestory"]


class Screen:
    """A pseudo-terminal with a command in it, and what a person would see: absolute moves and erasures are followed."""

    def __init__(self, words: list[str], environment: dict[str, str], columns: int = 80, lines: int = 24) -> None:
        self.person, program = pty.openpty()
        self.before = termios.tcgetattr(program)
        self.program = program
        self.written = b""
        self._changed = threading.Condition()
        self.resize(columns, lines, tell=False)
        kept = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "CLERESTORY_TOKEN")}
        self.process = subprocess.Popen(
            COMMAND + words,
            cwd=ROOT,
            env=kept | {"TERM": "xterm"} | environment,
            stdin=program,
            stdout=program,
            stderr=program,
            process_group=0,  # its own, as a shell would have it: else it could not be stopped
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        while True:
            try:
                data = os.read(self.person, 65536)
            except OSError:
                return
            with self._changed:
                self.written += data
                self._changed.notify_all()

    def resize(self, columns: int, lines: int, *, tell: bool = True) -> None:
        """Pull the window's corner."""
        fcntl.ioctl(self.program, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        if tell:
            self.process.send_signal(signal.SIGWINCH)

    def type(self, text: str) -> None:
        os.write(self.person, text.encode())

    def lines(self) -> list[str]:
        """The last frame, without its colours."""
        frames = self.written.split(b"\x1b[H")
        whole = next((frame for frame in reversed(frames) if frame.endswith((b"\x1b[J", b"\x1b[?1049l"))), b"")
        text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", whole.decode())
        assert all(c.isprintable() or c in "\r\n" for c in text)
        return [line.rstrip() for line in text.replace("\r", "").split("\n")]

    def see(self, *words: str) -> list[str]:
        """The frame, once all of `words` are in it, however they are spaced."""

        def seen() -> list[str]:
            lines = self.lines()
            text = " ".join(" ".join(lines).split())
            return lines if all(word in text for word in words) else []

        return eventually(seen, what=f"{words} on the screen")

    def end(self) -> int:
        """Its exit status as a shell tells it, once it has ended: a signal may come before Python listens to it, or
        after it has stopped to."""
        status = self.process.wait(PATIENCE)
        return status if status >= 0 else 128 - status

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.program)
        self._reader.join(PATIENCE)
        os.close(self.person)

    def is_as_before(self) -> bool:
        """Whether the terminal was given back."""
        return termios.tcgetattr(self.program) == self.before and self.written.endswith(b"\x1b[?25h\x1b[?1049l")


@pytest.fixture
def stage(choices: list[str]) -> Iterator[Stage]:
    with scenario("stuck-backend", *choices) as stage:
        stage.buyer()
        stage.customer(b"GET /products/7 HTTP/1.1\r\n")
        yield stage


@pytest.fixture
def lasting(choices: list[str]) -> Iterator[Stage]:
    """The stage, whose connections no deadline ends while a test runs."""
    with scenario("stuck-backend", "--head-timeout", "600", "--backend-timeout", "600", *choices) as stage:
        stage.buyer()
        stage.customer(b"GET /products/7 HTTP/1.1\r\n")
        yield stage


@pytest.fixture
def top(stage: Stage) -> Iterator[Screen]:
    screen = Screen(["top", "--interval", "0.2"], stage.environment)
    try:
        screen.see("READING_HEAD 1")
        yield screen
    finally:
        screen.close()


# --- top


def test_top_shows_states_rates_and_the_longest_waits(top: Screen) -> None:
    lines = top.see("AWAITING_REQUEST 1", "QUERYING_BACKEND 2", "listener ACCEPTING 1")
    assert lines[0].startswith("clerestory ")
    assert lines[0].endswith("/x")
    assert re.match(r"4 of [\d,]+ slots, [\d.]+ requests/s, in ", lines[1])
    heading = next(number for number, line in enumerate(lines) if line.startswith("ID "))
    assert lines[heading].endswith("4, by wait")
    assert re.match(
        r"1   127\.0\.0\.1:\d+ +GET /ord\S+ QUERYING_BACKEND [\d.]+ s <- work#1 .*[\d.]+ s$", lines[heading + 1]
    )
    assert max(map(len, lines)) <= 80
    assert len(lines) <= 24


def test_top_follows_what_happens(top: Screen, stage: Stage) -> None:
    stage.customer(b"POST /warehouse HTTP/1.1\r\nHost: shop\r\n\r\n")
    top.see("QUERYING_BACKEND 0", "AWAITING_REQUEST 4")


def test_top_shows_one_filters_closes_and_quits(top: Screen, stage: Stage) -> None:
    top.type("\x1b[B\r")
    top.see("waits for work#1 RUNNING find_order", "HEAD_RECEIVED -> QUERYING_BACKEND", "escape back")
    top.type("\x1b")
    top.see("STATE")
    top.type("/reading_head\r")
    top.see("1 of 4 with state=READING_HEAD")
    top.type("C")
    top.see("close 1 connection with state=READING_HEAD? [y/N]")
    top.type("y")
    top.see("1 connection closed", "0 of 3 with state=READING_HEAD")
    assert stage.customers[-1].end() == "reset"
    top.type("\x1b")
    top.see("3, by wait")
    top.type("\x1b[Bc")
    top.see("close 1, GET /orders/41?... of 127.0.0.1:")
    top.type("n")
    top.see("nothing was closed", "QUERYING_BACKEND 2")
    top.type("q")
    assert top.end() == 0
    assert top.is_as_before()


def test_top_takes_the_size_that_there_is(top: Screen) -> None:
    top.resize(132, 40)
    lines = top.see("arrows choose", "descriptors", "GET /orders/41?... QUERYING_BACKEND")
    assert 80 < max(map(len, lines)) <= 132
    top.resize(50, 12)
    lines = eventually(lambda: lines if max(map(len, lines := top.lines())) <= 50 else [])
    assert len(lines) <= 12
    assert any("QUERYING_BACKEND" in line for line in lines)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_top_gives_the_terminal_back_whatever_ends_it(top: Screen, number: int) -> None:
    top.process.send_signal(number)
    assert top.end() == (0 if number == signal.SIGINT else 128 + number)
    eventually(top.is_as_before)


@pytest.mark.parametrize("words", [["top", "--interval", "0.1"], ["watch", "3", "--interval", "0.1"], ["close", "3"]])
def test_a_command_that_waits_ends_with_a_signal_whenever_it_comes(lasting: Stage, words: list[str]) -> None:
    """While it asks, while it draws, while it waits, while it collects garbage: none is lost."""
    shown = {"top": b"QUERYING_BACKEND", "watch": b"TRANSITION", "close": b"[y/N]"}[words[0]]
    for turn in range(12):
        screen = Screen(words, lasting.environment)
        eventually(lambda screen=screen: shown in screen.written)  # type: ignore[misc]
        ready = len(screen.written)
        if turn % 3 and words[0] == "top":
            eventually(lambda screen=screen, ready=ready: len(screen.written) > ready)  # type: ignore[misc]
        number = (signal.SIGINT, signal.SIGTERM)[turn % 2]
        screen.process.send_signal(number)
        assert screen.end() == (0 if words[0] == "top" and number == signal.SIGINT else 128 + number)
        screen.close()
        assert b"Traceback" not in screen.written


def test_top_gives_the_terminal_back_while_it_is_stopped(top: Screen) -> None:
    top.process.send_signal(signal.SIGTSTP)
    eventually(top.is_as_before)
    top.process.send_signal(signal.SIGCONT)
    top.type("s")
    top.see("4, by seconds")


def test_top_says_when_the_server_has_gone_and_goes_on(top: Screen, stage: Stage) -> None:
    stage.server.kill()
    top.see("is the server running?", "QUERYING_BACKEND 2")
    top.type("q")
    assert top.end() == 0


def test_top_shows_the_banner_of_a_blocked_loop(choices: list[str]) -> None:
    with scenario("blocked-loop", *choices) as stage:
        screen = Screen(["top", "--interval", "0.2"], stage.environment)
        try:
            lines = screen.see("CRITICAL: The loop has been blocked for", "in label at", "GET /label QUERYING_BACKEND")
            assert "\x1b[1;31mCRITICAL" in screen.written.decode()
            assert max(map(len, lines)) <= 80
        finally:
            screen.close()


# --- the others, in a terminal and beside it


def test_ps_in_a_terminal_fits_it_and_is_coloured(stage: Stage) -> None:
    screen = Screen(["ps"], stage.environment)
    assert screen.end() == 0
    text = eventually(lambda: screen.written.decode() if b"QUERYING_BACKEND " in screen.written else "")
    screen.close()
    assert "\x1b[1mID" in text
    lines = re.sub(r"\x1b\[[0-9;]*m|\r", "", text).splitlines()
    assert max(map(len, lines)) <= 80
    plain = Screen(["ps"], stage.environment | {"NO_COLOR": "1"})
    assert plain.end() == 0
    plain.close()
    assert b"\x1b" not in plain.written


def test_close_in_a_terminal_asks(stage: Stage) -> None:
    screen = Screen(["close", "1"], stage.environment)
    eventually(lambda: b"Close this connection? [y/N]" in screen.written)
    screen.type("y\r")
    assert screen.end() == 0
    screen.close()
    assert stage.customers[0].end() == "reset"


def test_watch_follows_a_connection_to_its_end(stage: Stage) -> None:
    command = [*COMMAND, "watch", "3", "--interval", "0.1"]
    watching = subprocess.Popen(command, cwd=ROOT, env=os.environ | stage.environment, stdout=subprocess.PIPE)
    assert watching.stdout is not None
    try:
        first = [watching.stdout.readline().decode() for _ in range(5)]
        assert re.match(r"3  AWAITING_REQUEST [\d.]+ s of 15 s <- ", first[0])
        assert first[2].endswith("AWAITING_REQUEST: HEAD_RECEIVED -> QUERYING_BACKEND\n")
        assert stage.customers[2].get("/products/8").status == 200
        assert watching.stdout.readline().decode().endswith("AWAITING_REQUEST: HEAD_RECEIVED -> QUERYING_BACKEND\n")
        stage.customers[2].close()
        rest, _ = watching.communicate(timeout=PATIENCE)
        assert watching.returncode == 0
        assert "AWAITING_REQUEST: PEER_CLOSED -> CLOSED\nconnection 3 from" in rest.decode()
    finally:
        if watching.poll() is None:
            watching.kill()
            watching.wait()


def _ps(address: str, *words: str) -> str:
    return subprocess.run(
        [*COMMAND, "ps", "--xray", address, *words], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    ).stdout


def test_several_servers_are_told_apart(tmp_path: Path, start: Start) -> None:
    environment = {"XDG_RUNTIME_DIR": str(tmp_path), "TMPDIR": str(tmp_path)}
    one, other = (start("--xray", "127.0.0.1:0", environment=environment) for _ in range(2))

    def run(*words: str) -> tuple[int, str, str]:
        done = subprocess.run(
            [*COMMAND, "ps", *words],
            cwd=ROOT,
            env=os.environ | environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return done.returncode, done.stdout, done.stderr

    status, _, said = run()
    assert status == 2
    assert said.startswith("clerestory: 2 servers are running; say which:\n")
    assert f"--pid {one.pid}" in said
    assert f"--pid {other.pid}" in said
    assert run("--pid", str(one.pid)) == (0, "", "There are no connections.\n")


# --- the figure


@pytest.mark.many
def test_ps_of_ten_thousand_connections_stays_cheap(start: Start, capsys: pytest.CaptureFixture[str]) -> None:
    server: ServerProcess = start("--xray", "127.0.0.1:0", "--keep-alive-timeout", "300", descriptors=10_100)
    address, before = server.wait_for("xray")["url"], server.descriptors()
    with clients(server.address, 10_000):
        eventually(lambda: _ps(address, "--limit", "1", "--json").count('"total": 10000'))
        took, spent = [], []
        for _ in range(5):
            begun, cpu = time.perf_counter(), server.cpu() + _cpu_of_children()
            lines = _ps(address).count("\n")
            took.append(time.perf_counter() - begun)
            spent.append(server.cpu() + _cpu_of_children() - cpu)
            assert lines == 10_001
    eventually(lambda: server.descriptors() < before + 10)  # those that left are gone before it is told to end
    with capsys.disabled():
        print(f"\nps of 10,000 connections: {min(took):.2f} s, of CPU {min(spent):.2f} s, its own and the server's")
    # The figure is for people. What is asserted only tells that nothing has become quadratic.
    assert min(spent) < 5


def _cpu_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
