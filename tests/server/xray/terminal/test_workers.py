"""The workers in a terminal: what stands out is who does not answer, who is blocked, and whom an old one waits for."""

from typing import Any

from clerestory.server.xray.terminal.text import Style
from clerestory.server.xray.terminal.workers import what_of, worker_lines, workers_line


def worker(number: int = 1, **changes: Any) -> dict[str, Any]:
    made = {"worker": number, "generation": 1, "pid": 4711, "state": "READY", "seconds": 8.1, "age": 9.0, "heard": 0.4}
    made |= {"answers": True, "blocked": None, "connections": 12, "requests": 1204, "memory": 41_000_000}
    return made | {"waits_for": []} | changes


OLD = worker(2, state="RETIRING", waits_for=["2:17: GET /export SENDING_RESPONSE 3.1 s", "2:18: GET /"], pid=0)


def test_each_worker_has_a_line() -> None:
    heading, *lines = worker_lines([worker(), OLD], Style())[1:]
    assert heading.split()[:5] == ["WORKER", "GEN", "PID", "STATE", "FOR"]
    assert lines[0].split() == ["1", "1", "4711", "READY", "8.1", "s", "0.4", "s", "12", "1,204", "41.0", "MB", "-"]
    assert lines[1].endswith("2:17: GET /export SENDING_RESPONSE 3.1 s; 2:18: GET /")
    assert {len(line) for line in worker_lines([worker(), OLD], Style(40))[2:]} == {40}


def test_without_a_supervisor_there_is_none() -> None:
    assert worker_lines([], Style()) == []
    assert workers_line([]) == ""


def test_what_matters_most_is_said() -> None:
    assert what_of(worker(answers=False, blocked=3.0)) == "does not answer"
    assert what_of(worker(blocked=3.0)) == "its loop is blocked, for 3.0 s"
    assert what_of(worker(answers=None)) == "-"
    coloured = worker_lines([worker(answers=False), OLD, worker(3)], Style(None, True))[2:]
    assert [line.startswith("\x1b[1;31m") for line in coloured] == [True, False, False]


def test_a_line_for_all_of_them() -> None:
    found = workers_line([OLD, worker(3, generation=2), worker(4, generation=2, answers=False)])
    assert found == (
        "workers: 2 READY of generation 2 (no answer from 4); "
        "1 RETIRING of generation 1, for 2:17: GET /export SENDING_RESPONSE 3.1 s and 1 more"
    )


def test_nothing_that_a_client_has_chosen_reaches_the_terminal_raw() -> None:
    hostile = worker(waits_for=["1:1: GET /\x1b[2J"])
    assert "\x1b" not in "".join(worker_lines([hostile], Style())) + workers_line([hostile])
