"""The mail site on a real PostgreSQL, from the outside: what it serves, and what clients see when it fails."""

import json
import re
import select
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest

from tests.conftest import Start
from tests.support.client import Answer, Client, request
from tests.support.postgres import Cluster, running
from tests.support.server import ServerProcess
from tests.support.waiting import eventually

Serve = Callable[..., ServerProcess]

FAR = "600"
"""Seconds, far more than a test has patience."""

EMAIL = {"sender": "me@example.org", "subject": "news", "body": "It works.\n"}


@pytest.fixture(scope="module")
def own() -> Iterator[Cluster]:
    """A cluster that is stopped, frozen and filled here. What it has answered survives the end of its processes."""
    yield from running(max_connections="20", synchronous_commit="on")


@pytest.fixture
def name(own: Cluster) -> str:
    return own.new_database()


@pytest.fixture
def serve(start: Start, own: Cluster, name: str) -> Serve:
    """Starts a server on that database."""
    return lambda *options: start("--database", own.url(name), *options, target="")


def get(server: ServerProcess, target: str) -> Answer:
    with Client(server.address) as client:
        return client.get(target)


def post(server: ServerProcess, target: str, value: object) -> tuple[int, Any]:
    with Client(server.address) as client:
        answer = client.get(target, method="POST", body=json.dumps(value).encode())
    is_json = answer["content-type"] == "application/json"
    return answer.status, json.loads(answer.body) if is_json else answer.text


def locked(own: Cluster, name: str) -> "psycopg.Connection[Any]":
    """A session that keeps everybody else from the messages until it is closed."""
    session = psycopg.connect(own.url(name))
    session.execute("LOCK TABLE emails")
    return session


def waiting_for_a_lock(own: Cluster) -> list[Any]:
    return own.activity("wait_event_type = 'Lock'")


def recovered(server: ServerProcess, target: str = "/emails/1") -> Callable[[], bool]:
    return lambda: get(server, target).status == 200


def consistent(own: Cluster, name: str) -> bool:
    with own.connect(name) as connection:
        wrong = connection.execute(
            "SELECT recipient FROM inboxes AS i"
            " WHERE count != (SELECT count(*) FROM deliveries AS d WHERE d.recipient = i.recipient)"
        ).fetchall()
    return wrong == []


# --- what it serves


def test_the_whole_conversation_and_it_is_kept(serve: Serve, own: Cluster, name: str) -> None:
    server = serve()
    assert server.wait_for("listening")["serving"] == (
        f"the built-in mail site, kept in PostgreSQL at 127.0.0.1:{own.port}/{name}"
    )
    assert json.loads(get(server, "/emails").body) == {"emails": [], "next": None}
    assert post(server, "/emails", EMAIL) == (201, {"id": 1, **EMAIL})
    delivery = {"recipient": "ada", "email_id": 1, "count": 1, "capacity": 100}
    assert post(server, "/inboxes/ada", {"email_id": 1}) == (201, delivery)
    assert post(server, "/inboxes/ada", {"email_id": 1})[0] == 409
    assert get(server, "/emails/2").status == 404
    assert b"The messages are kept in PostgreSQL." in get(server, "/").body
    server.finish()
    again = serve()
    assert json.loads(get(again, "/emails/1").body) == {"id": 1, **EMAIL}
    assert json.loads(get(again, "/inboxes/ada").body)["count"] == 1
    assert again.events("handler_failed") == []


def test_more_clients_than_sessions_are_all_served(serve: Serve) -> None:
    server = serve()
    post(server, "/emails", EMAIL)
    clients = [Client(server.address) for _ in range(64)]
    for _ in range(5):
        for client in clients:
            client.send(request("/emails/1"))
        assert {client.answer().status for client in clients} == {200}
    for client in clients:
        client.close()


def test_the_server_ends_its_sessions_with_itself(serve: Serve, own: Cluster) -> None:
    server = serve()
    get(server, "/emails")
    assert own.activity("application_name = 'clerestory'")
    server.finish()
    eventually(lambda: not own.activity("application_name = 'clerestory'"))


# --- what clients see when it fails


def test_a_lock_is_504_and_the_query_is_cancelled_in_the_server(serve: Serve, own: Cluster, name: str) -> None:
    server = serve("--backend-timeout", "0.3")
    post(server, "/emails", EMAIL)
    with locked(own, name):
        answer = get(server, "/emails/1")
        assert answer.status == 504
        eventually(lambda: not waiting_for_a_lock(own))
    assert get(server, "/emails/1").status == 200


def test_a_client_that_leaves_has_its_query_cancelled_in_the_server(serve: Serve, own: Cluster, name: str) -> None:
    """At once: no deadline passes before this test is given up."""
    server = serve("--backend-timeout", FAR, "--postgres-query-timeout", FAR)
    with locked(own, name):
        client = Client(server.address)
        client.send(request("/emails/1"))
        eventually(lambda: waiting_for_a_lock(own))
        client.reset()
        eventually(lambda: not waiting_for_a_lock(own))
    assert get(server, "/emails").status == 200


def test_what_a_connection_waits_for_can_be_asked_from_end_to_end(serve: Serve, own: Cluster, name: str) -> None:
    server = serve()
    with locked(own, name), Client(server.address) as client:
        client.send(request("/emails/1"))
        eventually(lambda: waiting_for_a_lock(own))
        server.signal(signal.SIGUSR1)
        [line] = server.wait_for("xray_dump")["connections"]
        assert ": GET /emails/1 QUERYING_BACKEND " in line
        assert re.search(r" <- postgres#1 AWAITING_RESULT \d+\.\d s <- fd \d+ readable", line)


def test_a_database_that_stops_is_503_without_a_wait_and_found_again_when_it_is_back(
    serve: Serve, own: Cluster
) -> None:
    """No deadline passes before this test is given up, so nobody has waited for one."""
    server = serve("--backend-timeout", FAR, "--postgres-slot-timeout", FAR, "--postgres-connect-timeout", FAR)
    post(server, "/emails", EMAIL)
    own.stop()
    try:
        for _ in range(20):
            answer = get(server, "/emails/1")
            assert (answer.status, answer["retry-after"].isdigit()) == (503, True)
        assert get(server, "/").status == 200
    finally:
        own.start()
    eventually(recovered(server))


def test_a_restart_in_the_middle_of_writes_repeats_none_and_loses_none_that_was_answered(
    serve: Serve, own: Cluster, name: str
) -> None:
    server = serve()
    answers: list[tuple[int, Any]] = []
    ending = threading.Event()

    def write() -> None:
        while not ending.is_set():
            answers.append(post(server, "/emails", EMAIL))

    writer = threading.Thread(target=write)
    writer.start()
    for number in (signal.SIGINT, signal.SIGQUIT):
        count = len(answers)
        eventually(lambda count=count: len(answers) > count + 20)  # type: ignore[misc]
        own.stop(number)
        own.start()
        eventually(recovered(server))
    ending.set()
    writer.join()
    assert {status for status, _ in answers} <= {201, 503}
    created = [value["id"] for status, value in answers if status == 201]
    with own.connect(name) as connection:
        kept = [number for (number,) in connection.execute("SELECT id FROM emails ORDER BY id").fetchall()]
    assert len(set(created)) == len(created)
    assert set(created) <= set(kept)
    # What was in the making at a stop may be there without an answer, once: the writer is one.
    assert len(kept) - len(created) <= 2


def test_a_frozen_database_holds_up_nobody_who_does_not_ask_it(serve: Serve, own: Cluster) -> None:
    """Others are answered while the one that asks waits, and that one is answered in the end."""
    server = serve("--backend-timeout", FAR, "--postgres-query-timeout", FAR)
    post(server, "/emails", EMAIL)
    own.freeze()
    try:
        with Client(server.address) as stuck:
            stuck.send(request("/emails/1"))
            for _ in range(20):
                assert get(server, "/").status == 200
            server.signal(signal.SIGUSR1)
            assert any("GET /emails/1 QUERYING_BACKEND" in line for line in server.wait_for("xray_dump")["connections"])
            assert select.select([stuck.socket], [], [], 0)[0] == []
            own.thaw()
            assert stuck.answer().status == 200
    finally:
        own.thaw()


def test_sessions_that_are_terminated_in_the_pool_are_replaced_unseen(serve: Serve, own: Cluster) -> None:
    server = serve()
    post(server, "/emails", EMAIL)
    for _ in range(5):
        own.clear()
        assert get(server, "/emails/1").status == 200


def test_a_database_without_room_for_a_session_is_503_until_there_is(serve: Serve, own: Cluster, name: str) -> None:
    server = serve()
    own.clear()
    taken = []
    try:
        while True:
            try:
                taken.append(psycopg.connect(own.url(name)))
            except psycopg.OperationalError:
                break
        assert get(server, "/emails").status == 503
    finally:
        for connection in taken:
            connection.close()
    eventually(recovered(server, "/emails"))


def test_a_server_that_is_killed_in_the_middle_leaves_every_count_right(
    serve: Serve, own: Cluster, name: str, choices: list[str]
) -> None:
    server = ServerProcess(*choices, "--database", own.url(name), target="")
    for _ in range(30):
        post(server, "/emails", EMAIL)
    with Client(server.address) as client:
        for number in range(1, 31):
            body = json.dumps({"email_id": number}).encode()
            client.send(request("/inboxes/ada", method="POST", body=body))
        for _ in range(10):
            client.answer()
        server.kill()
    assert consistent(own, name)
    assert json.loads(get(serve(), "/inboxes/ada").body)["count"] >= 10
