"""The x-ray as it is served: with all slots taken, without descriptors, on a Unix socket, beyond loopback, and as a
process of the command line starts and ends it."""

import contextlib
import gc
import json
import os
import resource
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from clerestory.server.cli.main import main
from clerestory.server.net.sockets import listen
from clerestory.server.options import Options
from clerestory.server.xray.serve import runtime, thread
from clerestory.server.xray.serve.address import USUAL, Address, AddressError, bind
from clerestory.server.xray.serve.keys import Keys
from clerestory.server.xray.serve.listening import RESERVE
from clerestory.server.xray.serve.thread import Place, XRay, open_xray
from tests.conftest import Start
from tests.server.support import GET, RecordingLogs, bench_of, hello
from tests.server.xray.support import Live, live, waiting
from tests.support.client import Client, clients
from tests.support.server import TOKEN, ServerProcess
from tests.support.waiting import eventually


def test_it_answers_when_all_slots_are_taken_and_says_by_whom() -> None:
    with live(waiting(), max_connections=4, pause_timeout=20.0) as server, clients(server.address, 5, GET):
        server.standing("QUERYING_BACKEND", 4)
        eventually(lambda: server.json("/connections.json?kind=listener")["rows"][0]["state"] == "PAUSED")
        snapshot = server.json("/snapshot.json")
        assert snapshot["bounds"]["slots"] == 4
        texts = {banner["kind"]: banner["text"] for banner in snapshot["banners"]}
        assert texts["capacity"] == "4 of 4 slots are QUERYING_BACKEND; 4 are taken in all."
        assert texts["paused"].endswith(": there is no room.")


@pytest.fixture
def all_taken() -> Iterator[Callable[[], None]]:
    """A function after which this process has no descriptor left; at the end it has as before."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken: list[int] = []

    def take() -> None:
        gc.collect()  # what earlier tests have left gives its descriptors back now, not in the middle of this one
        used = len(os.listdir("/proc/self/fd"))
        resource.setrlimit(resource.RLIMIT_NOFILE, (used + 64, limits[1]))
        try:
            while True:
                taken.append(os.open(os.devnull, os.O_RDONLY))
        except OSError:
            return

    yield take
    for descriptor in taken:
        os.close(descriptor)
    resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def test_it_answers_without_a_descriptor_left_and_says_so(all_taken: Callable[[], None]) -> None:
    """One after the other: accept(2) says that there is no descriptor before it looks whether anybody waits, so the
    reserve may lose no more than it accepts. The client's ends are descriptors of this same process, made before."""
    with live(hello) as server, contextlib.ExitStack() as open_clients:
        mine = [open_clients.enter_context(socket.socket()) for _ in range(RESERVE)]
        all_taken()
        for place, one in enumerate(mine, 1):
            one.settimeout(20)
            one.connect(server.xray_address)
            one.sendall(f"GET /snapshot.json HTTP/1.1\r\nHost: localhost\r\n{server.token}\r\n\r\n".encode())
            answer = b""
            while b"}}" not in answer[-40:] and not answer.endswith(b"]}"):
                answer += one.recv(65536)
            assert len(server.xray._listener._kept) == RESERVE - place
            snapshot = json.loads(answer.partition(b"\r\n\r\n")[2])
            (banner,) = [banner for banner in snapshot["banners"] if banner["kind"] == "descriptors"]
            assert banner["level"] == "critical"
            assert banner["text"].endswith("descriptors are open: 0 are left.")
        open_clients.close()
        eventually(lambda: len(server.xray._listener._kept) == RESERVE, what="the reserve")


def unix_get(path: str, target: str, field: str = "X: y", host: str = "whatever") -> tuple[int, bytes]:
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(20)
        client.connect(path)
        client.sendall(f"GET {target} HTTP/1.1\r\nHost: {host}\r\n{field}\r\nConnection: close\r\n\r\n".encode())
        answer = b""
        while piece := client.recv(65536):
            answer += piece
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), body


def test_on_a_unix_socket_any_host_will_do_and_the_file_goes_at_the_end(tmp_path: Path) -> None:
    path = str(tmp_path / "x.sock")
    with live(hello, bind(Address(path=path))) as server:
        assert server.xray.url == f"unix:{path}"
        assert unix_get(path, "/healthz") == (200, b"ok\n")
        assert unix_get(path, "/snapshot.json")[0] == 401
        status, body = unix_get(path, "/snapshot.json", server.token)
        assert (status, json.loads(body)["version"]) == (200, 1)
    assert not os.path.exists(path)


def test_beyond_loopback_probes_are_answered_and_metrics_take_the_token() -> None:
    with live(hello, listen("0.0.0.0", 0)) as server:
        server.xray_address = ("127.0.0.1", server.xray_address[1])
        for target in ("/snapshot.json", "/connections/1", "/nothing", "/metrics"):
            assert server.stranger(target, host="example.org").status == 401
        for target in ("/", "/healthz", "/readyz"):
            assert server.stranger(target, host="example.org").status == 200
        (found,) = runtime.find()
        assert server.stranger("/metrics", f"Authorization: Bearer {found.token}", host="example.org").status == 200


@pytest.mark.parametrize(
    ("metrics", "host", "shown"),
    [
        ("auto", "127.0.0.1", True),
        ("token", "127.0.0.1", False),
        ("open", "0.0.0.0", True),
        ("auto", "0.0.0.0", False),
    ],
)
def test_who_may_read_metrics_is_an_option(metrics: Any, host: str, shown: bool) -> None:
    with bench_of(hello) as bench, listen(host, 0) as listening:
        place = Place(listening, metrics)
        assert place.guard_of(bench.service.application, Keys("", bench.clock)).open_metrics is shown


def test_a_terminal_is_given_a_link_and_a_log_is_told_how_to_get_one() -> None:
    """A link is of use to whoever sees it now; a log is kept, and read by others."""
    with bench_of(hello) as bench:
        logs: Any = RecordingLogs()
        one = XRay(bench.service, bench.recorder, Place(listen("127.0.0.1", 0)), logs)
        one.announce()
        logs.terminal = True
        one.announce()
        first, second = [event for event in logs.events if event["event"] == "xray"]
        assert (first["url"], first["page"]) == (one.url, "for a link: clerestory page")
        address, _, key = second["url"].partition("#key:")
        assert address == one.url
        assert one.keys.open_session(key.encode()) is not None
        one.close()


def test_a_server_is_found_while_it_runs_and_not_after() -> None:
    with live(hello) as server:
        (found,) = runtime.find()
        assert (found.pid, found.url, found.token, found.serving) == (
            os.getpid(),
            server.xray.url,
            server.xray.keys.token,
            "a trial",
        )
    assert runtime.find() == []


def test_where_no_runtime_file_can_be_written_it_is_served_all_the_same(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "none"))
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path / "neither"))
    with live(hello) as server:
        assert server.x("/healthz").status == 200
        (event,) = server.log("xray_not_found_by_itself")
        assert event["hint"].startswith("start with CLERESTORY_XRAY_TOKEN, ")


def test_its_own_clients_leave_no_trace_in_the_log() -> None:
    with live(hello) as server:
        with Client(server.xray_address) as client:
            client.send(b"GET / HT")
            client.reset()
        server.json("/snapshot.json")
        assert [event["event"] for event in server.logs.events if event["level"] != "debug"] == ["xray"]


def test_the_options_choose_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    with bench_of(hello) as bench:
        logs: Any = RecordingLogs()
        assert open_xray(Options(), bench.service, bench.recorder, logs) is None
        one = open_xray(Options(xray="127.0.0.1:0", xray_token="mine"), bench.service, bench.recorder, logs)
        assert one is not None
        assert one.url.startswith("http://127.0.0.1:")
        assert one.keys.token == "mine"
        assert one.notes == {}
        one.close()
        with pytest.raises(AddressError):
            open_xray(Options(xray="nonsense"), bench.service, bench.recorder, logs)
        monkeypatch.setattr(thread, "bind_usual", lambda: (listen("127.0.0.1", 0), False))
        other = open_xray(Options(xray="auto"), bench.service, bench.recorder, logs)
        assert other is not None
        assert other.keys.token != one.keys.token
        assert len(other.keys.token) >= 32
        assert other.notes["note"].startswith(f"{USUAL} is taken")
        other.close()


def test_a_loop_that_fails_leaves_the_server_without_its_xray_and_nothing_worse() -> None:
    with live(hello) as server:

        def fails(timeout: float | None) -> None:
            raise RuntimeError("broken")

        server.xray.loop.turn = fails  # type: ignore[method-assign]
        server.xray.loop.call_from_thread(lambda: None)
        eventually(lambda: server.log("xray_failed"))
        with Client(server.address) as client:
            assert client.get("/").text == "hello"
        eventually(lambda: runtime.find() == [])
        with pytest.raises(ConnectionRefusedError):
            eventually(lambda: socket.create_connection(server.xray_address).close())
        server.logs.events.clear()


def test_where_no_thread_can_be_had_there_is_no_xray_and_nothing_worse(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with bench_of(hello) as bench:
        logs: Any = RecordingLogs()
        xray = open_xray(Options(xray="127.0.0.1:0"), bench.service, bench.recorder, logs)
        assert xray is not None
        with monkeypatch.context() as patched:
            patched.setattr(threading.Thread, "start", none)
            xray.start()
        assert logs.take() == ["xray_failed"]
        assert runtime.find() == []
        xray.close()


def test_an_xray_that_is_stuck_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(thread, "JOIN_TIMEOUT", 0.01)
    stuck, go_on = threading.Event(), threading.Event()

    def hang() -> None:
        stuck.set()
        go_on.wait(20)

    with bench_of(hello) as bench:
        logs: Any = RecordingLogs()
        xray = open_xray(Options(xray="127.0.0.1:0"), bench.service, bench.recorder, logs)
        assert xray is not None
        xray.start()
        xray.loop.call_from_thread(hang)
        assert stuck.wait(20)
        xray.close()
        assert runtime.find() == []
        go_on.set()
        xray._thread.join(20)
        xray.loop.close()


# --- the process


@pytest.fixture
def process(request: pytest.FixtureRequest) -> Iterator[ServerProcess]:
    """`clerestory` with the options that the test's parameter gives, and its x-ray on a free port."""
    server = ServerProcess("--xray", "127.0.0.1:0", *getattr(request, "param", ()))
    yield server
    server.finish()


def ask(server: ServerProcess, target: str) -> tuple[int, str]:
    """What the x-ray of a process answers."""
    host, port = server.wait_for("xray")["url"].removeprefix("http://").removesuffix("/").rsplit(":", 1)
    with Client((host, int(port))) as client:
        client.send(f"GET {target} HTTP/1.1\r\nHost: localhost\r\nX-Clerestory-Token: {TOKEN}\r\n\r\n".encode())
        answer = client.answer()
        return answer.status, answer.text


def test_the_start_up_line_says_where_it_is(process: ServerProcess) -> None:
    assert ask(process, "/healthz") == (200, "ok\n")
    document = json.loads(ask(process, "/snapshot.json")[1])
    assert document["pid"] == process.pid
    assert document["machines"]["process"]["states"]["SERVING"] == 1
    (found,) = runtime.find()
    assert found.pid == process.pid


def test_a_drain_flips_readiness_says_what_holds_it_and_ends_without_a_trace(process: ServerProcess) -> None:
    with Client(process.address) as client:
        client.send(b"POST /read HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab")
        eventually(lambda: '"READING_BODY":1' in ask(process, "/snapshot.json")[1])
        process.signal(signal.SIGTERM)
        process.wait_for("draining")
        assert ask(process, "/readyz") == (503, "503 Service Unavailable: draining\n")
        (banner,) = json.loads(ask(process, "/snapshot.json")[1])["banners"]
        assert banner["kind"] == "draining"
        assert "waiting for 1 connection (1: POST /read READING_BODY" in banner["text"]
        client.send(b"cde")
        assert client.answer().status == 200
        assert process.wait() == 0
    assert runtime.find() == []


def test_sigusr1_tells_the_log_what_everybody_waits_for(process: ServerProcess) -> None:
    with Client(process.address) as client:
        client.send(b"POST /read?token=abc HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab")
        eventually(lambda: '"READING_BODY":1' in ask(process, "/snapshot.json")[1])
        process.signal(signal.SIGUSR1)
        event = process.wait_for("xray_dump")
        assert event["states"]["connection"] == {"READING_BODY": 1}
        (line,) = event["connections"]
        assert line.startswith("1: POST /read?... READING_BODY ")
        assert event["histories"]["1"][0].startswith("HEAD_RECEIVED -> QUERYING_BACKEND")
        process.signal(signal.SIGUSR1)
        process.wait_for("xray_dump", count=2)
        client.send(b"cde")
        assert client.answer().status == 200


def test_without_an_xray_there_is_none_and_sigusr1_works_all_the_same(start: Start) -> None:
    server = start("--no-xray")
    server.signal(signal.SIGUSR1)
    server.wait_for("xray_dump")
    assert server.events("xray") == []
    assert runtime.find() == []


def test_by_default_it_is_there_whether_or_not_the_usual_port_is_free(start: Start) -> None:
    """One of the two at least does not get it: which one, other programs of this machine may decide."""
    one, other = start(), start()
    assert ask(one, "/healthz") == ask(other, "/healthz") == (200, "ok\n")
    notes = [server.wait_for("xray").get("note", "") for server in (one, other)]
    assert any("is taken, so this is a free port" in note for note in notes)
    assert {found.pid for found in runtime.find()} == {one.pid, other.pid}


def test_a_unix_socket_of_a_process_is_for_its_user_alone(tmp_path: Path) -> None:
    path = tmp_path / "x.sock"
    server = ServerProcess("--xray", f"unix:{path}")
    assert path.stat().st_mode & 0o777 == 0o600
    assert unix_get(str(path), "/healthz") == (200, b"ok\n")
    server.finish()
    assert not path.exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--xray", "nonsense"], "write HOST:PORT, such as 127.0.0.1:8001, or unix:PATH"),
        (["--xray", "unix:"], "write unix: and a path of at most 100 bytes"),
    ],
)
def test_an_address_that_can_not_be_is_said_in_one_line(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*words, "tests.support.applications:application"]) == 2
    (line,) = capsys.readouterr().err.splitlines()[-1:]
    assert said in line


@pytest.mark.parametrize("wanted", ["unix:/none/x.sock", "192.0.2.1:8001"])
def test_an_address_that_cannot_be_had_is_told_and_the_server_serves(start: Start, wanted: str) -> None:
    """A container may have no directory that is writable: that is no reason not to serve."""
    server = start("--xray", wanted)
    told = server.wait_for("xray_unavailable")
    assert told["level"] == "info"
    assert told["reason"].startswith(wanted)
    with Client(server.address) as client:
        assert client.get("/hello").status == 200


def test_the_token_may_come_from_the_environment(start: Start) -> None:
    start("--xray", "127.0.0.1:0", environment={"CLERESTORY_XRAY_TOKEN": "mine"})
    (found,) = runtime.find()
    assert found.token == "mine"


def test_nothing_of_a_live_server_is_left_behind(every_descriptor_back: None) -> None:
    with live(hello) as server:
        server.json("/snapshot.json")
    assert isinstance(server, Live)
