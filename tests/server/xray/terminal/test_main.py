"""From words to an exit status; and that a command starts without what serves."""

import json
import subprocess
import sys

import pytest

from clerestory.server.xray.serve.runtime import Running
from clerestory.server.xray.terminal import main as module
from clerestory.server.xray.terminal.main import main
from tests.server.xray.terminal.samples import listed, row, snapshot
from tests.server.xray.terminal.test_client import answering


def test_a_command_is_done(capsys: pytest.CaptureFixture[str]) -> None:
    with answering((200, listed(row())), (200, snapshot())) as (address, _):
        assert main(["ps", "--xray", address]) == 0
    assert capsys.readouterr().out.splitlines()[1].startswith("17  127.0.0.1:5000  GET /emails/7 QUERYING_BACKEND")


@pytest.mark.parametrize(
    ("words", "status", "complaint"),
    [
        (
            ["ps", "--bogus"],
            2,
            "clerestory: unrecognized arguments: --bogus (clerestory ps --help",
        ),
        (["ps", "--xray", "nonsense"], 2, "clerestory: 'nonsense' is not the address of an x-ray"),
        (["close", "--xray", "127.0.0.1:9"], 2, "clerestory: say which to close"),
    ],
)
def test_what_can_not_be_done_is_said_in_a_line(
    words: list[str], status: int, complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words, "clerestory") == status
    assert capsys.readouterr().err.startswith(complaint)


def test_what_is_not_there_is_a_no(capsys: pytest.CaptureFixture[str]) -> None:
    with answering((404, {"detail": "77 is not there"})) as (address, _):
        assert main(["show", "77", "--xray", address]) == 1
    assert capsys.readouterr().err == (
        "clerestory: There is no connection 77, open or remembered: ps lists the open ones.\n"
    )


def test_help_is_no_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["top", "--help"]) == 0
    assert "usage: clerestory top" in capsys.readouterr().out


def test_ctrl_c_is_quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object, **__: object) -> Running:
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "choose", interrupt)
    assert main(["ps"]) == 130


def test_who_reads_us_may_stop_reading() -> None:
    many = listed(*[row(id=str(number)) for number in range(20_000)])
    with answering((200, many), (200, snapshot())) as (address, _):
        command = [sys.executable, "-m", "clerestory", "ps", "--xray", address]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert process.stdout is not None
        assert process.stdout.readline().startswith(b"ID")
        process.stdout.close()
        _, complaint = process.communicate(timeout=30)
    assert (process.returncode, complaint) == (0, b"")


def test_it_starts_without_what_serves() -> None:
    code = (
        "import sys, json, clerestory.__main__\n"
        "import clerestory.server.xray.terminal.top, clerestory.server.xray.terminal.main\n"
        "print(json.dumps(sorted(sys.modules)))"
    )
    loaded = json.loads(subprocess.check_output([sys.executable, "-c", code]))
    foreign = (
        "clerestory.server.loop.loop",
        "clerestory.server.cli.main",
        "clerestory.server.net.listener",
        "clerestory.statemachines.",
        "clerestory.handlers",
        "transitions",
        "structlog",
    )
    found = [name for name in loaded if name.startswith((*foreign, "asyncio", "h11"))]
    assert found == ["clerestory.statemachines.contract"]  # which holds names only: the poller's
