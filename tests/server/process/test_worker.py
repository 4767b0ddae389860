"""A worker as its supervisor sees it: deadlines, what it says, and what is known of its end."""

import socket
from collections.abc import Iterator

import pytest

from clerestory.server.process.channel import READ
from clerestory.server.process.worker import GRACE, LINES
from tests.server.process.crew import KILL, Crew

pytestmark = pytest.mark.usefixtures("every_descriptor_back")


@pytest.fixture
def crew() -> Iterator[Crew]:
    made = Crew(1, blocked_timeout=10.0)
    yield made
    made.close()


def test_a_start_has_a_deadline(crew: Crew) -> None:
    crew.begin()
    (worker,) = crew.workers()
    crew.after(59.0)
    assert worker.state == "STARTING"
    crew.after(1.5)
    assert worker.state == "KILLED"
    crew.exit(worker, -KILL)
    assert crew.supervisor.state == "STOPPED"


def test_who_is_silent_for_too_long_is_asked_for_its_stack_and_then_killed(crew: Crew) -> None:
    crew.serving()
    (worker,) = crew.workers()
    for _ in range(5):
        crew.after(8.0)
        crew.say(worker, "beat", requests=7, connections=3)
    assert worker.state == "READY"
    assert worker.facts()[5] == 7
    assert "3 connections" in worker.facts()[1]
    crew.after(10.0)
    assert worker.state == "READY"
    crew.after(GRACE + 0.5)
    assert worker.state == "ABORTING"
    crew.exit(worker, -6, b"Fatal Python error: Aborted\nFile app.py, line 3\n" + b"x\n" * 2 * LINES)
    (lost,) = [event for event in crew.logs.events if event["event"] == "worker_lost"]
    assert lost["ended"] == "signal SIGABRT"
    assert lost["stack"][:2] == ["Fatal Python error: Aborted", "File app.py, line 3"]
    assert len(lost["stack"]) == LINES


def test_without_a_limit_silence_is_allowed() -> None:
    crew = Crew(1, blocked_timeout=0.0).serving()
    crew.after(1e6)
    assert crew.states() == [(1, "READY")]
    crew.close()


def test_who_says_that_it_is_blocked_is_killed_and_named(crew: Crew) -> None:
    crew.serving()
    (worker,) = crew.workers()
    crew.say(worker, "blocked", seconds=10.0, request="GET /slow", stack=["app.py:3 slow"])
    assert worker.state == "KILLED"
    (blocked,) = [event for event in crew.logs.events if event["event"] == "worker_blocked"]
    assert (blocked["request"], blocked["stack"], blocked["worker"]) == ("GET /slow", ["app.py:3 slow"], 1)
    crew.exit(worker, -KILL)
    assert crew.states()[-1][1] == "BACKING_OFF"


def test_the_end_of_the_channel_and_the_exit_may_come_in_any_order(crew: Crew) -> None:
    crew.serving()
    (worker,) = crew.workers()
    crew.recruits.channels[worker.number].close()
    crew.settle()
    assert worker.state == "LEAVING"
    crew.settle()  # a hang-up that nobody waits for does not spin: a turn finds nothing
    assert crew.loop.reported == []
    worker.exited(0)
    crew.settle()
    assert worker not in crew.workers()


def test_what_was_said_before_the_exit_is_heard(crew: Crew) -> None:
    crew.begin()
    (worker,) = crew.workers()
    crew.recruits.channels[worker.number].tell({"say": "ready"})
    worker.exited(1)
    crew.settle()
    assert worker.ready_at is not None


@pytest.mark.parametrize(
    ("status", "text"), [(0, "status 0"), (3, "status 3"), (-9, "signal SIGKILL"), (-63, "signal"), (None, "not exec")]
)
def test_an_end_is_told_in_words(crew: Crew, status: int | None, text: str) -> None:
    crew.begin()
    (worker,) = crew.workers()
    worker.status = status
    assert worker.end_in_words().startswith(text)


def test_messages_that_mean_nothing_change_nothing(crew: Crew) -> None:
    crew.serving()
    (worker,) = crew.workers()
    crew.say(worker, "ready")
    crew.say(worker, "nonsense")
    crew.recruits.channels[worker.number].socket.send(b'{"say": []}\n{"say": null}\n12\nrubbish\n')
    crew.settle()
    assert worker.state == "READY"


def test_its_last_words_are_heard_however_long_they_are_and_handed_on(crew: Crew) -> None:
    """They come in many reads, and its exit may be told before the first."""
    crew.serving()
    (worker,) = crew.workers()
    heard: list[tuple[int, int]] = []
    crew.supervisor.hooks.ended = lambda one: heard.append((one.number, len(one.last_words["text"])))
    channel = crew.recruits.channels[worker.number]
    channel.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * READ)
    assert channel.tell({"say": "last", "text": "x" * 2 * READ})
    crew.exit(worker)
    assert heard == [(1, 2 * READ)]


def test_a_process_that_it_has_forked_may_hold_its_channel(crew: Crew) -> None:
    crew.serving()
    (worker,) = crew.workers()
    with crew.recruits.channels[worker.number].socket.dup():
        crew.exit(worker, -KILL)
        assert worker not in crew.workers()
