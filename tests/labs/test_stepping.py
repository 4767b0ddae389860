"""Walking through: what is shown at each stop, what a key does, and that no time passes meanwhile."""

import functools
import os
import pty
import re
import subprocess
import sys
import termios
import time

import pytest

from benchmarks.processes import ROOT
from clerestory.statemachines import connection
from clerestory.statemachines.connection import State
from labs import machine_state, stepping
from labs.findings import Stage

PATIENCE = 60.0


class Reader:
    """A person: notes each page, and answers with the next of `keys`, then with the end of the input."""

    def __init__(self, *keys: str) -> None:
        self.pages: list[str] = []
        self.keys = list(keys)

    def __call__(self, page: str) -> str:
        self.pages.append(page)
        if not self.keys:
            raise EOFError
        return self.keys.pop(0)


@functools.cache
def walk(*keys: str) -> Reader:
    """Walk through lab 8's request."""
    reader = Reader(*keys)
    machine_state.walk_through(Stage(lambda _: None, quick=True, step=True, key=reader))
    return reader


def marked(page: str) -> list[str]:
    """The states that are marked on a page, in the order of the charts' lines."""
    return re.findall(r"\[([A-Z_]+)\]", page)


def test_every_passage_is_a_page_with_its_state_marked_and_what_each_descriptor_waits_for() -> None:
    pages = walk(*" " * 20).pages
    assert [page.splitlines()[2].partition(": ")[2] for page in pages] == [
        "HEAD_STARTED: AWAITING_REQUEST -> READING_HEAD",
        "HEAD_RECEIVED: READING_HEAD -> QUERYING_BACKEND; next, call_handler",
        "CONNECTED: CONNECTING -> AWAITING_EMAIL; next, ask",
        "EMAIL_RECEIVED: AWAITING_EMAIL -> CLOSED; next, deliver",
        "BACKEND_ANSWERED: QUERYING_BACKEND -> QUERYING_BACKEND; next, resume_handler",
        "OUTPUT_READY: QUERYING_BACKEND -> SENDING_RESPONSE; next, queue_output",
        "OUTPUT_FLUSHED [may_keep_alive]: SENDING_RESPONSE -> AWAITING_REQUEST; next, renew",
        "PEER_CLOSED: AWAITING_REQUEST -> CLOSED",
    ]
    assert marked(pages[0]) == ["READING_HEAD"]
    assert sorted(marked(pages[2])) == ["AWAITING_EMAIL", "QUERYING_BACKEND"]
    assert re.search(r"\d+ +connection +QUERYING_BACKEND +nothing but a disconnect +readable$", pages[2], re.MULTILINE)
    assert re.search(r"\d+ +store +AWAITING_EMAIL +readable +writable$", pages[2], re.MULTILINE)
    for page in pages:
        assert re.search(r"\d+ +listener +ACCEPTING +readable +readable$", page, re.MULTILINE)
        assert {state.name for state in State} <= set(re.findall(r"[A-Z_]+", page))


def test_what_may_happen_next_is_listed_as_the_table_has_it() -> None:
    pages = walk(*" " * 20).pages
    listed = pages[0].partition("from READING_HEAD:\n")[2].partition("\n\n")[0].splitlines()
    assert [line.split()[0] for line in listed] == [
        row.trigger for row in connection.ROWS if row.source is State.READING_HEAD
    ]
    assert re.search(r"OUTPUT_READY +-> SENDING_RESPONSE  \(the usual path\)$", pages[1], re.MULTILINE)
    assert "CLOSED is the end." in pages[-1]


def test_the_passage_is_drawn_in_the_margin() -> None:
    drawn = walk(*" " * 20).pages
    lines = {line[:4]: line for line in drawn[1].splitlines() if line[:4].strip() and line[4:5] in " ["}
    assert lines[" ╭─ "].split()[1] == "READING_HEAD"
    assert lines[" ╰▶ "].split()[1] == "[QUERYING_BACKEND]"
    assert " ↻▶ [QUERYING_BACKEND]" in drawn[4]


@pytest.mark.parametrize("keys", [["c"], []])
def test_c_and_the_end_of_the_input_go_on_without_further_stops(keys: list[str]) -> None:
    assert len(walk(*keys).pages) == 1


def test_the_clock_stands_still_while_a_person_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    clock = stepping.Clock()
    before = clock()
    now += 300.0
    clock.pause(before)
    assert clock() == before
    now += 1.0
    assert clock() == before + 1.0


def test_any_key_of_a_terminal_goes_on_without_a_line_s_end() -> None:
    ours, theirs = pty.openpty()
    shown = b""
    with subprocess.Popen(
        [sys.executable, "-m", "labs", "machine-state", "--quick", "--step"],
        cwd=ROOT, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
    ) as process:  # fmt: skip
        kept = termios.tcgetattr(theirs)
        try:
            stops = 0
            while stops < 8:
                shown += os.read(ours, 65536)
                while shown.count(b"without stops] ") > stops:
                    stops += 1
                    os.write(ours, b"x")
            while b"waited for the store at the same time" not in shown:
                shown += os.read(ours, 65536)
            process.wait(PATIENCE)
            assert termios.tcgetattr(theirs) == kept
        finally:
            process.kill()
            os.close(ours)
            os.close(theirs)
    assert process.returncode == 0
    assert b"\x1b[7m[QUERYING_BACKEND]\x1b[0m" in shown


def test_a_pipe_s_lines_are_keys_and_its_end_lets_the_rest_run() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "labs", "machine-state", "--quick", "--step"],
        cwd=ROOT, input="\n\n", capture_output=True, text=True, timeout=PATIENCE, check=True,
    )  # fmt: skip
    assert done.stdout.count("without stops] ") == 3
    assert "\x1b[7m" not in done.stdout
    assert done.stderr == ""
