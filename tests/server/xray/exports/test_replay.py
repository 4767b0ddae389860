"""Replaying: a recording that was made agrees with its table, and any change to it is named."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clerestory.handlers.api.messages import Request, Response
from clerestory.server.cli.main import main
from clerestory.server.xray.exports.exports import as_recording
from clerestory.server.xray.exports.replay import Disagreement, RecordingError, load, replay, run
from clerestory.server.xray.observe.recorder import recording_of
from clerestory.statemachines.connection import Trigger as T
from clerestory.statemachines.contract import Facts
from tests.server.support import GET, LAST, bench_of, hello
from tests.server.xray.support import waiting


def recorded() -> dict[str, Any]:
    """A recording of a connection that was closed by an operator while it waited."""
    with bench_of(waiting()) as bench:
        client = bench.connect()
        bench.clock.now += 1
        client.send(GET)
        bench.clock.now += 1
        bench.loop.fire(client.connection, T.CLOSE_ORDERED)
        found: dict[str, Any] = json.loads(as_recording(bench.recorder.abnormal[0]))
        return found


def test_what_was_recorded_agrees_with_its_table() -> None:
    assert replay(load(json.dumps(recorded()))) == "2 transitions agree with the table of connection"


async def twice(request: Request) -> Response:
    async def pieces() -> Any:
        yield b"one"
        yield await request.read()

    return Response(pieces())


PIECES = (
    b"GET / HT",
    b"TP/1.1\r\n",
    b"\r\n",
    b"rubbish\r\n",
    b"POST / HTTP/1.1\r\nhost: x\r\n",
    b"content-length: 3\r\n\r\n",
    b"abc",
)


@settings(max_examples=60)
@given(
    steps=st.lists(
        st.sampled_from((GET, LAST, *PIECES, "half close", "leave", "wait", "order", "drain")),
        max_size=12,
    ),
    handler=st.sampled_from([hello, waiting(), twice]),
)
def test_whatever_a_connection_goes_through_its_recording_agrees(
    steps: list[Any], handler: Callable[[Any], Any]
) -> None:
    with bench_of(handler) as bench:
        client = bench.connect()
        machine = client.connection
        for step in steps:
            if machine.node.final:
                break
            if step == "wait":
                bench.after(40)
            elif step in ("order", "drain"):
                trigger = T.CLOSE_ORDERED if step == "order" else T.DRAIN_STARTED
                if machine.accepts(trigger):
                    bench.loop.fire(machine, trigger)
            elif step == "half close":
                try:
                    client.half_close()
                except OSError:
                    break
            elif step == "leave":
                client.leave()
            else:
                try:
                    client.send(step)
                except OSError:
                    break
        ended = [*bench.recorder.abnormal, *bench.recorder.normal]
        one = ended[0] if ended else recording_of(machine, Facts(*machine.facts()), machine.history)
        assert "agree with the table" in replay(load(as_recording(one)))


Change = Callable[[dict[str, Any]], object]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda one: one.update(machine="cat"), "there is no machine 'cat'; there are connection, "),
        (
            lambda one: one["passages"].pop(0),
            "transition 1 leaves QUERYING_BACKEND, but the machine was in AWAITING_REQUEST",
        ),
        (lambda one: one["passages"].pop(), "said to have ended, but it is left in QUERYING_BACKEND"),
        (lambda one: one["passages"].clear(), "said to have ended, but it is left in AWAITING_REQUEST"),
        (
            lambda one: one["passages"][0].update(trigger="PEER_LEFT"),
            "transition 1: the table has no row for PEER_LEFT in AWAITING_REQUEST",
        ),
        (
            lambda one: one["passages"][0].update(trigger="OUTPUT_READY"),
            "transition 1: the table has no row for OUTPUT_READY in AWAITING_REQUEST",
        ),
        (
            lambda one: one["passages"][0].update(dest="READING_HEAD"),
            "transition 1: HEAD_RECEIVED in AWAITING_REQUEST leads to QUERYING_BACKEND, not to READING_HEAD",
        ),
        (
            lambda one: one["passages"][0].update(guard="is_sunny"),
            "HEAD_RECEIVED in AWAITING_REQUEST leads to QUERYING_BACKEND, not to QUERYING_BACKEND if is_sunny",
        ),
        (lambda one: one["passages"][1].update(at=0.5), "transition 2 is 0.500000 s before the one before it"),
        (lambda one: one.update(cause="client"), "it is said to have been ended by client, but its rows say operator"),
        (
            lambda one: (one.update(whole=False), one["passages"][0].update(source="DREAMING")),
            "transition 1: connection has no state DREAMING",
        ),
    ],
)
def test_a_recording_that_disagrees_is_told_where(change: Change, words: str) -> None:
    one = recorded()
    change(one)
    with pytest.raises(Disagreement) as where:
        replay(load(json.dumps(one)))
    assert words in str(where.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "this is not JSON"),
        ("{", "this is not JSON"),
        ("[]", "this is not a recording: get one with /connections/ID?format=recording"),
        ('{"format": "cake"}', "this is not a recording"),
        ('{"format": "clerestory recording", "version": 2}', "of version 2"),
        ('{"format": "clerestory recording", "version": 1}', "it has no list of transitions"),
        (
            '{"format": "clerestory recording", "version": 1, "passages": [{"at": "x"}]}',
            "it has no list of transitions",
        ),
        (
            '{"format": "clerestory recording", "version": 1, "passages": [7]}',
            "it has no list of transitions",
        ),
    ],
)
def test_what_is_no_recording_is_told_why(text: str, words: str) -> None:
    with pytest.raises(RecordingError) as why:
        load(text)
    assert words in str(why.value)


# --- the command


def test_the_command_agrees_with_status_0(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "one.json"
    path.write_text(json.dumps(recorded()))
    assert main(["replay", str(path)]) == 0
    assert capsys.readouterr().out == f"{path}: 2 transitions agree with the table of connection\n"


def test_the_command_disagrees_with_status_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, one = tmp_path / "one.json", recorded()
    one["passages"][0]["dest"] = "LINGERING"
    path.write_text(json.dumps(one))
    assert main(["replay", str(path)]) == 1
    said = capsys.readouterr()
    assert (
        said.err
        == f"{path}: transition 1: HEAD_RECEIVED in AWAITING_REQUEST leads to QUERYING_BACKEND, not to LINGERING\n"
    )
    assert said.out == ""


def test_the_command_reads_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(recorded())))
    assert run(["-"]) == (0, "-: 2 transitions agree with the table of connection")


def test_the_command_without_a_recording(tmp_path: Path) -> None:
    assert run([])[0] == 2
    assert run([])[1].startswith("usage: ")
    assert run(["--help"])[0] == 0
    assert run([str(tmp_path / "none")]) == (2, f"{tmp_path / 'none'}: No such file or directory")
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    assert run([str(tmp_path / "bytes")])[0] == 2
    (tmp_path / "text").write_text("hello")
    assert run([str(tmp_path / "text")])[0] == 2


def test_the_command_replays_several_and_its_status_is_the_worst(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.json", tmp_path / "bad.json"
    good.write_text(json.dumps(recorded()))
    bad.write_text(json.dumps(recorded() | {"machine": "cat"}))
    status, text = run([str(good), str(bad)])
    assert status == 1
    assert [line.partition(": ")[0] for line in text.splitlines()] == [str(good), str(bad)]


def test_the_command_writes_a_page_that_plays_them(tmp_path: Path) -> None:
    one, other, page = tmp_path / "one.json", tmp_path / "other.json", tmp_path / "page.html"
    one.write_text(json.dumps(recorded()))
    other.write_text(json.dumps(recorded() | {"cause": "client"}))
    status, text = run(["--page", str(page), str(one), str(other)])
    assert status == 1  # one that disagrees is played as well: that is what is to be seen
    assert text.splitlines()[-1] == f"{page}: open it in a browser"
    assert page.read_text().startswith("<!doctype html>")
    assert run([str(one), "--page", str(tmp_path)]) == (
        2,
        f"{one}: 2 transitions agree with the table of connection\n{tmp_path}: Is a directory",
    )
    page.unlink()
    other.write_text("{}")
    assert run(["--page", str(page), str(one), str(other)])[0] == 2
    assert not page.exists()
    assert run(["--page"])[0] == 2
    assert run(["--pages", str(one)])[0] == 2
