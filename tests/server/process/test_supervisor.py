"""The supervisor: how many workers there are, of which generation, and what each of them is told."""

from collections.abc import Iterator

import pytest

from clerestory.server.process.supervisor import LONGEST_DELAY, SOON
from tests.server.process.crew import HUP, KILL, TERM, Crew

pytestmark = pytest.mark.usefixtures("every_descriptor_back")


@pytest.fixture
def crew() -> Iterator[Crew]:
    made = Crew(3, blocked_timeout=0.0)
    yield made
    made.close()


def test_one_goes_ahead_and_the_others_follow_when_it_is_ready(crew: Crew) -> None:
    crew.begin()
    assert crew.states() == [(1, "STARTING")]
    crew.say(crew.workers()[0], "ready")
    assert crew.states() == [(1, "READY"), (1, "STARTING"), (1, "STARTING")]
    told: list[str] = []
    crew.supervisor.hooks.serving = lambda: told.append("serving")
    crew.say(crew.workers()[1], "ready")
    assert (crew.supervisor.state, told) == ("STARTING", [])
    crew.say(crew.workers()[2], "ready")
    assert (crew.supervisor.state, told) == ("SERVING", ["serving"])


def test_a_first_start_that_fails_ends_it_with_the_workers_status(crew: Crew) -> None:
    crew.begin()
    crew.loop.running = True
    crew.exit(crew.workers()[0], 3)
    assert (crew.supervisor.state, crew.supervisor.status, crew.loop.running) == ("STOPPED", 3, False)
    assert crew.logged()[-2:] == ["worker_start_failed", "start_failed"]


def test_a_process_that_cannot_be_made_is_a_start_that_failed(crew: Crew) -> None:
    crew.recruits.faults.append(PermissionError("no"))
    crew.begin()
    assert (crew.supervisor.state, crew.supervisor.status) == ("STOPPED", 1)


def test_who_is_killed_is_replaced_at_once_and_the_next_time_later(crew: Crew) -> None:
    """Never in a tight loop: a worker that serves for a moment only is a start that has failed, too."""
    crew.serving()
    crew.logged()
    crew.after(SOON + 1)
    crew.exit(crew.workers()[0], -KILL)
    assert crew.states()[-1] == (1, "STARTING")
    assert crew.logged() == ["worker_lost"]
    delays = []
    for _ in range(7):
        worker = crew.workers("STARTING", "READY")[-1]
        if worker.state == "STARTING":
            crew.say(worker, "ready")
        crew.exit(worker, -KILL)
        (waiting,) = crew.workers("BACKING_OFF")
        delays.append(waiting._delay)
        crew.after(waiting._delay - 0.01)
        assert waiting.state == "BACKING_OFF"
        crew.after(0.5)
        assert waiting.state == "STARTING"
    assert delays == [1, 2, 4, 8, 16, LONGEST_DELAY, LONGEST_DELAY]
    crew.say(crew.workers("STARTING")[0], "ready")
    crew.after(SOON + 1)
    crew.exit(crew.workers()[0], -KILL)
    assert crew.workers("BACKING_OFF") == []


def test_a_reload_starts_a_generation_beside_the_old_one_and_then_retires_it(crew: Crew) -> None:
    crew.serving()
    old = crew.workers()
    crew.signal(HUP)
    assert crew.supervisor.state == "RELOADING"
    assert [state for _, state in crew.states()] == ["READY"] * 3 + ["STARTING"]
    crew.say(crew.workers("STARTING")[0], "ready")
    crew.say(crew.workers("STARTING")[0], "ready")
    assert [one.state for one in old] == ["READY"] * 3
    crew.say(crew.workers("STARTING")[0], "ready")
    assert crew.supervisor.state == "SERVING"
    assert [one.state for one in old] == ["RETIRING"] * 3
    assert [crew.told(one) for one in old] == [["retire"]] * 3
    for one in old:
        crew.exit(one)
    assert crew.states() == [(2, "READY")] * 3
    assert "worker_lost" not in crew.logged()


def test_a_reload_that_fails_leaves_the_old_generation_alone(crew: Crew) -> None:
    crew.serving()
    old = crew.workers()
    crew.signal(HUP)
    crew.say(crew.workers("STARTING")[0], "ready")
    first, *_ = [one for one in crew.workers() if one.generation == 2]
    crew.exit(crew.workers("STARTING")[0], 2)
    assert crew.supervisor.state == "SERVING"
    assert [one.state for one in old] == ["READY"] * 3
    assert first.state == "RETIRING"
    for one in crew.workers("STOPPING"):
        crew.exit(one)
    crew.exit(first)
    assert crew.states() == [(1, "READY")] * 3
    assert "reload_failed" in crew.logged()
    crew.signal(HUP)
    assert crew.states()[-1] == (3, "STARTING")


def test_an_old_worker_that_dies_in_a_reload_is_not_made_up_for_unless_that_fails(crew: Crew) -> None:
    crew.serving()
    crew.signal(HUP)
    crew.exit(crew.workers("READY")[0], -KILL)
    assert crew.states() == [(1, "READY"), (1, "READY"), (2, "STARTING")]
    crew.exit(crew.workers("STARTING")[0], 1)
    assert crew.states()[:3] == [(1, "READY"), (1, "READY"), (1, "STARTING")]


def test_a_reload_in_a_reload_gives_up_the_one_before(crew: Crew) -> None:
    crew.serving()
    crew.signal(HUP)
    (given_up,) = crew.workers("STARTING")
    crew.signal(HUP)
    assert given_up.state == "STOPPING"
    assert crew.states()[-1] == (3, "STARTING")
    crew.exit(given_up, 0)
    assert crew.supervisor.state == "RELOADING"


def test_who_wants_to_be_recycled_serves_until_its_successor_does(crew: Crew) -> None:
    crew.serving()
    first, second, _ = crew.workers()
    crew.say(first, "recycle", why="it has answered enough")
    crew.say(second, "recycle", why="it has answered enough")
    assert [first.state, second.state] == ["AWAITING_SUCCESSOR"] * 2
    coming = crew.workers("STARTING")
    assert len(coming) == 2
    crew.say(coming[0], "ready")
    assert [first.state, second.state] == ["RETIRING", "AWAITING_SUCCESSOR"]
    crew.say(coming[1], "ready")
    assert second.state == "RETIRING"


def test_a_reload_that_fails_retires_who_has_got_a_successor_meanwhile(crew: Crew) -> None:
    crew.serving()
    first, *_ = crew.workers()
    crew.say(first, "recycle", why="it has answered enough")
    (successor,) = crew.workers("STARTING")
    crew.signal(HUP)
    crew.say(successor, "ready")
    assert first.state == "AWAITING_SUCCESSOR"
    crew.exit(crew.workers("STARTING")[0], 1)
    assert crew.supervisor.state == "SERVING"
    assert first.state == "RETIRING"
    assert [one for one in crew.states() if one != (1, "RETIRING")] == [(1, "READY")] * 3


def test_who_leaves_with_a_failed_generation_replaces_nobody_of_the_one_that_serves(crew: Crew) -> None:
    crew.serving()
    first, *_ = crew.workers()
    crew.signal(HUP)
    new, *_ = crew.workers("STARTING")
    crew.say(new, "ready")
    for one in (first, new):
        crew.say(one, "recycle", why="it has answered enough")
    crew.exit(crew.workers("STARTING")[0], 1)
    assert crew.supervisor.state == "SERVING"
    assert (first.state, new.state) == ("AWAITING_SUCCESSOR", "RETIRING")


def test_who_drains_by_itself_has_a_successor_at_once(crew: Crew) -> None:
    crew.serving()
    first = crew.workers()[0]
    crew.say(first, "drain")
    assert first.state == "RETIRING"
    assert crew.told(first) == ["retire"]
    assert len(crew.workers("STARTING")) == 1


def test_the_end_drains_all_and_a_second_signal_stops_them(crew: Crew) -> None:
    crew.serving()
    workers = crew.workers()
    told: list[str] = []
    crew.supervisor.hooks.shut = lambda: told.append("shut")
    crew.signal(TERM)
    assert (crew.supervisor.state, told) == ("DRAINING", ["shut"])
    assert [crew.told(one) for one in workers] == [["drain"]] * 3
    crew.exit(workers[0])
    crew.signal(TERM)
    assert crew.supervisor.state == "STOPPING"
    assert [crew.told(one) for one in workers[1:]] == [["stop"]] * 2
    crew.signal(TERM)
    for one in workers[1:]:
        crew.exit(one)
    assert (crew.supervisor.state, crew.supervisor.status) == ("STOPPED", 0)


def test_two_signals_that_come_together_stop_at_once(crew: Crew) -> None:
    crew.serving()
    crew.signals.note(TERM)
    crew.signal(TERM)
    assert crew.supervisor.state == "STOPPING"


def test_with_files_watched_a_start_that_fails_waits_for_a_change(crew: Crew) -> None:
    crew.supervisor.awaits_change = True
    crew.begin()
    crew.exit(crew.workers()[0], 2)
    assert (crew.supervisor.state, crew.workers()) == ("AWAITING_CHANGE", [])
    crew.signal(HUP)
    assert crew.states() == [(2, "STARTING")]
