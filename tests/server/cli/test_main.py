"""The command line as a whole: exit status, the one line, and what the process that serves is told."""

import errno
import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from clerestory.__main__ import main as started
from clerestory.handlers.api.messages import Application, Request, Response, text_response
from clerestory.server.cli import main as cli
from clerestory.server.cli.interfaces import How
from clerestory.server.cli.main import explain, main, program_name, version
from clerestory.server.cli.targets import Dress, Target
from clerestory.server.config import Limits
from clerestory.server.logging.logs import Logs
from clerestory.server.loop.poller import PollerError
from clerestory.server.net.addresses import Address
from clerestory.server.net.sockets import OpenError
from clerestory.server.options import Options
from clerestory.statemachines.engine import Dispatch
from clerestory.statemachines.tables import TABLES

PATIENCE = 20.0
ROOT = Path(__file__).parents[2]

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def closed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """TARGET is not looked at; the list has an entry when what it named was closed."""
    closed: list[str] = []
    target = Target(text_application, "an application", lambda: closed.append("target"))
    monkeypatch.setattr(cli, "resolve", lambda *_, **__: target)
    return closed


def text_application(request: Request) -> Response:
    return text_response("hello\n")


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch, closed: list[str]) -> list[Options]:
    """The process only notes what it is told."""
    served: list[Options] = []

    def serve(application: Application, options: Options, logs: Logs, *_: object) -> int:
        served.append(options)
        logs.info("served")
        return 0

    monkeypatch.setattr("clerestory.server.process.serving.serve", serve)
    return served


def failing(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    """The process fails with `error`."""

    def serve(application: Application, options: Options, logs: Logs, *_: object) -> int:
        raise error

    monkeypatch.setattr("clerestory.server.process.serving.serve", serve)


def refusal(capsys: Capture, *words: str) -> str:
    """The one line on standard error with which the command ends."""
    assert main(words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("clerestory: ")
    assert err.endswith("\n")
    assert err[:-1].isprintable()
    return err.removeprefix("clerestory: ").removesuffix("\n")


# --- serving


def test_the_process_is_told_what_was_typed(served: list[Options], closed: list[str]) -> None:
    words = (
        "application:app --host 0.0.0.0 --port 0 --poller poll --parser h11 --dispatch transitions "
        "--no-access-log --keep-alive-timeout 2.5 --max-body 2M"
    )
    assert main(words.split()) == 0
    assert served == [
        Options(
            host="0.0.0.0",
            port=0,
            listen=("0.0.0.0:0",),
            poller="poll",
            dispatch=Dispatch.TRANSITIONS,
            parser="h11",
            access_log=False,
            limits=Limits(keep_alive_timeout=2.5, max_body=2 << 20),
            xray="auto",
            description="an application",
        )
    ]
    assert closed == ["target"]


def test_what_was_typed_reaches_the_target(served: list[Options], monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []

    def resolve(*words: Any, **options: Any) -> Target:
        seen.append((words, options))
        return Target(text_application, "an application")

    monkeypatch.setattr(cli, "resolve", resolve)
    assert main(["--database", "sqlite:///mail.db", "--max-ranges", "3"]) == 0
    expected = {
        "database": "sqlite:///mail.db",
        "listing": False,
        "types": None,
        "limits": Limits(max_ranges=3),
        "how": How(),
        "dress": Dress(),
    }
    assert seen == [((None,), expected)]


def test_what_was_logged_is_written_before_the_end(served: list[Options], capsys: Capture) -> None:
    assert main(["--log-format", "json"]) == 0
    assert json.loads(capsys.readouterr().err)["event"] == "served"


def test_the_level_of_the_log_is_heeded(served: list[Options], capsys: Capture) -> None:
    assert main(["--log-level", "warning"]) == 0
    assert capsys.readouterr().err == ""


# --- the one line


def test_a_bad_option_is_one_line(capsys: Capture) -> None:
    assert refusal(capsys, "--port", "x").startswith("--port: 'x' is not a port: write a number")


def test_a_bad_target_is_one_line(capsys: Capture) -> None:
    assert refusal(capsys, "no/such").startswith("no/such: there is no such directory")


def test_what_was_typed_cannot_put_control_characters_on_the_terminal(capsys: Capture) -> None:
    assert refusal(capsys, "\x1b[2Jevil\n\udc80") == r"\x1b[2Jevil \udc80: there is no such directory"


def test_a_parser_that_is_not_installed_is_one_line(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert refusal(capsys, "--parser", "httptools").startswith("--parser httptools: it is not installed: ")


def test_a_poller_that_is_not_there_is_one_line(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch, closed: list[str]
) -> None:
    failing(monkeypatch, PollerError("there is no epoll on this system; there is poll, select"))
    assert refusal(capsys, "--poller", "epoll").startswith("there is no epoll on this system")
    assert closed == ["target"]


@pytest.mark.parametrize(
    ("error", "port", "said"),
    [
        (
            OSError(errno.EADDRINUSE, "x"),
            80,
            "port 80 on h is in use: end what listens there, or choose another --port",
        ),
        (OSError(errno.EACCES, "x"), 80, "port 80 on h: permission denied: ports below 1024 are for privileged users"),
        (OSError(errno.EACCES, "x"), 8000, "port 8000 on h: permission denied: "),
        (OSError(errno.EADDRNOTAVAIL, "x"), 80, "h is not an address of this machine: "),
        (OSError(errno.EAFNOSUPPORT, "x"), 80, "h: this system has no addresses of that kind: "),
        (socket.gaierror(-2, "Name or service not known"), 80, "host h cannot be resolved: give an address"),
        (UnicodeError("label too long"), 80, "host h cannot be resolved: give an address"),
        (OSError(errno.ENOBUFS, "No buffer space"), 80, "cannot listen on h:80: No buffer space"),
        (OSError("odd"), 80, "cannot listen on h:80: odd"),
    ],
)
def test_why_we_cannot_listen_is_said_with_what_to_do(error: OSError | UnicodeError, port: int, said: str) -> None:
    assert explain(Address("h", port), error).startswith(said)


def test_an_address_that_cannot_be_bound_is_one_line(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch, closed: list[str]
) -> None:
    failing(monkeypatch, OpenError(Address("127.0.0.1", 80), OSError(errno.EADDRINUSE, "Address already in use")))
    assert refusal(capsys, "--port", "80").startswith("port 80 on 127.0.0.1 is in use: ")
    assert closed == ["target"]


# --- the other ends


@pytest.mark.parametrize("error", [ZeroDivisionError("no"), OSError("no space"), UnicodeError("no text")])
def test_a_server_that_fails_logs_why_and_ends_with_1(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch, closed: list[str], error: Exception
) -> None:
    """An error of the system after the start is no failure to listen."""
    failing(monkeypatch, error)
    assert main(["--log-format", "json"]) == 1
    event = json.loads(capsys.readouterr().err)
    assert (event["event"], event["level"]) == ("server_failed", "critical")
    assert event["exception"].endswith(f"{type(error).__name__}: {error}")
    assert closed == ["target"]


def test_an_interrupt_before_there_is_a_server_ends_quietly(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch, closed: list[str]
) -> None:
    failing(monkeypatch, KeyboardInterrupt())
    assert main([]) == 130
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("word", ["--help", "-h", "--version"])
def test_what_was_asked_for_is_on_standard_output(word: str, capsys: Capture) -> None:
    assert main([word]) == 0
    out, err = capsys.readouterr()
    assert "clerestory" in out.lower()
    assert err == ""


def test_the_version_names_what_decides_how_we_behave() -> None:
    assert re.fullmatch(r"clerestory .+, h11 .+, httptools .+, transitions .+, Python .+ on \w+", version())


@pytest.mark.parametrize(
    ("started", "name"),
    [("/usr/lib/server/__main__.py", "clerestory"), ("/usr/bin/clerestory", "clerestory")],
)
def test_the_help_names_the_program_as_it_was_started(started: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", [started])
    assert program_name() == name


@pytest.mark.parametrize("module", ["clerestory.server.cli.main", "clerestory.server.xray.terminal.main"])
def test_an_interrupt_while_it_is_imported_is_no_traceback(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Interrupted:
        def __getattr__(self, name: str) -> Any:
            raise KeyboardInterrupt

    monkeypatch.setitem(sys.modules, module, Interrupted())
    monkeypatch.setattr("sys.argv", ["clerestory", *(["ps"] if "terminal" in module else [])])
    assert started() == 130


# --- check


def test_check_prints_every_table_and_ends_with_0(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["check"]) == 0
    out, err = capsys.readouterr()
    assert all(f"{name}: " in out for name in TABLES)
    assert err == ""


def test_check_ends_with_1_when_a_table_is_broken(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "report", lambda tables: ("BROKEN: see above\n", False))
    assert main(["check"]) == 1
    assert capsys.readouterr().out == "BROKEN: see above\n"


def test_check_says_so_when_its_page_cannot_be_written(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(io.StringIO):
        def flush(self) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("sys.stdout", Full())
    assert main(["check"]) == 1
    assert capsys.readouterr().err == "clerestory: check: the page cannot be written: No space left on device\n"


def test_a_directory_that_is_named_check_is_told_how_it_is_served(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "check").mkdir()
    assert main(["check"]) == 0
    said = "clerestory: this is the command check; to serve the directory check, write ./check\n"
    assert capsys.readouterr().err == said


# --- real processes


@contextmanager
def command(*words: str, cwd: Path = ROOT) -> Iterator["subprocess.Popen[str]"]:
    """`clerestory WORDS`; ended with the block, however that ends."""
    process = subprocess.Popen(
        [sys.executable, "-m", "clerestory", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=cwd,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


APPLICATION = """
from clerestory.handlers.api.messages import text_response

def app(request):
    return text_response("hello\\n")
"""


def test_a_server_says_where_it_listens_answers_and_ends_with_0(tmp_path: Path) -> None:
    (tmp_path / "application.py").write_text(APPLICATION)
    with command("application:app", "--port", "0", cwd=tmp_path) as process:
        assert process.stderr is not None
        listening, xray = (json.loads(process.stderr.readline()) for _ in range(2))
        assert (xray["event"], listening["event"]) == ("xray", "listening")
        assert listening["serving"] == "the application application:app"
        with urlopen(listening["url"] + "a%1b%0ab", timeout=PATIENCE) as answer:
            assert answer.read() == b"hello\n"
        process.send_signal(signal.SIGTERM)
        rest = [json.loads(line) for line in process.stderr]
        assert process.wait(PATIENCE) == 0
    (request,) = [event for event in rest if event["event"] == "request"]
    assert (request["method"], request["target"], request["status"]) == ("GET", "/a%1b%0ab", 200)


def test_a_port_that_is_in_use_ends_the_command_with_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with command(".", "--port", str(port), cwd=tmp_path) as process:
            out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 2
    assert out == ""
    assert err.startswith(f"clerestory: port {port} on 127.0.0.1 is in use: ")
    assert err.count("\n") == 1
