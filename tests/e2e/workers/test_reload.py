"""SIGHUP: a new generation serves before the old one is told to drain, and nothing is lost."""

import signal
from pathlib import Path

from tests.conftest import Start
from tests.e2e.workers.fleet import pids
from tests.support.applications import pattern
from tests.support.client import Client, request
from tests.support.load import Load
from tests.support.waiting import eventually

TARGETS = {
    "/hello": b"hello\n",
    "/bytes/100000": pattern(100_000),
    "/stream/async/20/1000": pattern(1000) * 20,
    "/sleep/20": b"slept\n",
}

APPLICATION = """
from clerestory.handlers.api.messages import Response
def app(request):
    return Response(b"{word}")
"""


def test_nothing_is_lost_over_four_reloads(start: Start) -> None:
    """Of clients that do not retry, over new and kept connections, small and streamed answers: no reset, no refused
    connection, no answer that is cut."""
    server = start("--workers", "2", "--no-access-log", "--no-xray", "--last-request-timeout", "0.5")
    with Load(server.address, TARGETS) as load:
        for generation in range(2, 6):
            before = load.total
            server.signal(signal.SIGHUP)
            server.wait_for("reloaded", patience=60, generation=generation)
            load.reach(before + 500)
            eventually(lambda: len(pids(server)) == 2, 60, "two workers")
        load.reach(5000)
    assert load.failures == []
    assert load.total >= 5000
    assert all(count > 50 for count in load.served.values()), load.served
    assert server.events("worker_lost") == server.events("connection_cut") == []


def test_a_request_in_flight_is_finished_by_the_old_generation(start: Start) -> None:
    server = start("--workers", "1", "--no-xray", "--body-timeout", "120", "--body-min-rate", "0")
    upload = request("/read", "Content-Length: 10", method="POST") + b"12345"
    with Client(server.address, data=upload) as uploading, Client(server.address) as other:
        assert other.get("/hello").status == 200
        (old,) = pids(server)
        server.signal(signal.SIGHUP)
        server.wait_for("reloaded")
        with Client(server.address) as new:
            assert new.get("/hello").status == 200
        eventually(lambda: not other.is_open(), what="the end of the idle connection")
        assert old in pids(server)
        uploading.send(b"67890")
        answer = uploading.answer()
        assert (answer.status, answer["connection"]) == (200, "close")
    eventually(lambda: old not in pids(server), 60, "the end of the old worker")


def test_the_new_generation_runs_the_new_code(start: Start, tmp_path: Path) -> None:
    module = tmp_path / "reloaded_of_tests.py"
    module.write_text(APPLICATION.format(word="before"))
    server = start("--workers", "1", "--no-xray", "--app-dir", str(tmp_path), target="reloaded_of_tests:app")
    with Client(server.address) as client:
        assert client.get("/").body == b"before"
    module.write_text(APPLICATION.format(word="afterwards"))
    server.signal(signal.SIGHUP)
    server.wait_for("reloaded")
    with Client(server.address) as client:
        assert client.get("/").body == b"afterwards"


def test_a_generation_that_does_not_start_changes_nothing(start: Start, tmp_path: Path) -> None:
    """It is told once, with its traceback; the old one goes on, and a later reload is another attempt."""
    module = tmp_path / "broken_of_tests.py"
    module.write_text(APPLICATION.format(word="before"))
    server = start("--workers", "2", "--no-xray", "--app-dir", str(tmp_path), target="broken_of_tests:app")
    before = pids(server)
    module.write_text("raise RuntimeError('no database')\n")
    server.signal(signal.SIGHUP)
    failed = server.wait_for("reload_failed")
    assert failed["generation"] == 2
    assert len(server.events("worker_start_failed", generation=2)) == 1
    assert pids(server) == before
    said = "".join(server.noise)
    server.noise.clear()
    assert "RuntimeError" in said
    assert "no database" in said
    with Client(server.address) as client:
        assert client.get("/").body == b"before"
    module.write_text(APPLICATION.format(word="repaired"))
    server.signal(signal.SIGHUP)
    assert server.wait_for("reloaded")["generation"] == 3
    with Client(server.address) as client:
        assert client.get("/").body == b"repaired"


def test_a_reload_in_a_reload_gives_up_the_first(start: Start) -> None:
    """There are never two at once, and what was ordered last is what is there at the end."""
    server = start("--workers", "2", "--no-xray")
    with Load(server.address, {"/hello": b"hello\n"}) as load:
        server.signal(signal.SIGHUP)
        server.wait_for("reloading")
        server.signal(signal.SIGHUP)
        server.wait_for("reload_begun_again")
        server.wait_for("reloaded", patience=60, generation=3)
        eventually(lambda: len(pids(server)) == 2, 60, "two workers")
        load.reach(load.total + 100)
    assert load.failures == []
    assert server.events("reloaded", generation=2) == []
    assert server.events("worker_start_failed") == []
