"""The built-in site as a process: what it promises over the wire, and a database that survives what kills processes."""

import json
import resource
import sqlite3
import stat
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.support.client import Answer, Client, CutShort, clients, request
from tests.support.server import ServerProcess, serving
from tests.support.waiting import eventually


def post(client: Client, target: str, value: object) -> Answer:
    return client.get(target, method="POST", body=json.dumps(value).encode())


EMAIL = {"sender": "ada@example.org", "subject": "Notes", "body": "On the engine."}


def sound(path: Path) -> bool:
    """Whether the database is whole, as SQLite itself sees it."""
    with sqlite3.connect(path) as connection:
        found: list[Any] = connection.execute("PRAGMA integrity_check").fetchall()
    connection.close()
    return found == [("ok",)]


@pytest.mark.parametrize("target", ["/emails/42", "/emails"])
def test_hundreds_of_clients_at_once_are_ordinary_and_all_are_answered(choices: list[str], target: str) -> None:
    """What waits for a thread is bounded by time: a short call is done before its refusal would be read."""
    with serving(*choices, target="") as server, clients(server.address, 400) as many:
        for _ in range(3):
            for client in many:
                client.send(request(target))
            assert {client.answer().status for client in many} == {200}


def test_the_lectures_example_from_end_to_end(choices: list[str]) -> None:
    with serving(*choices, target="") as server, Client(server.address) as client:
        assert "a thousand samples" in server.wait_for("listening")["serving"]
        assert client.get("/")["content-type"].startswith("text/html")
        page = json.loads(client.get("/emails?limit=3").body)
        assert len(page["emails"]) == 3
        following = json.loads(client.get(page["next"]).body)
        assert following["emails"][0]["id"] > page["emails"][-1]["id"]
        created = post(client, "/emails", EMAIL)
        assert created.status == 201
        email = json.loads(client.get(created["location"]).body)
        assert {name: email[name] for name in EMAIL} == EMAIL
        assert client.get("/emails/999999999").status == 404
        assert post(client, "/inboxes/nobody-at-all", {"email_id": 1}).status == 404
        assert post(client, "/inboxes/ada", {"email_id": email["id"]}).status == 201
        again = post(client, "/inboxes/ada", {"email_id": email["id"]})
        assert (again.status, again.reason) == (409, "Conflict")
        for number in range(1, 1001):
            status = post(client, "/inboxes/ada", {"email_id": number}).status
            assert status in (201, 409, 507)
            if status == 507:
                break
        assert status == 507
    event = server.events("request", target="/inboxes/ada")[0]
    assert {"reading_body", "querying_backend", "sending_response"} & set(event["times"])


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def built_in(request: pytest.FixtureRequest, choices: list[str]) -> Iterator[ServerProcess]:
    """The built-in site, in memory and in PostgreSQL."""
    place = []
    if request.param == "postgres":
        postgres = request.getfixturevalue("postgres")
        place = ["--database", postgres.url(postgres.new_database())]
    with serving(*choices, *place, target="") as server:
        yield server


@pytest.mark.parametrize(
    ("target", "body", "field"),
    [
        ("/emails", b"{", None),
        ("/emails", b"[]", None),
        ("/emails", b'{"sender": 1, "subject": "s", "body": "b"}', "sender"),
        ("/emails", b'{"sender": "s", "body": "b"}', "subject"),
        ("/emails", b'{"sender": "a@b.example", "subject": "s", "body": "b", "more": 1}', "more"),
        ("/inboxes/ada", b'{"email_id": "1"}', "email_id"),
        ("/inboxes/ada", b'{"email_id": 1.5}', "email_id"),
        ("/inboxes/ada", b'{"email_id": true}', "email_id"),
        ("/inboxes/ada", b'{"email_id": NaN}', None),
    ],
)
def test_what_can_not_be_taken_is_a_4xx_that_names_the_field(
    built_in: ServerProcess, target: str, body: bytes, field: str | None
) -> None:
    with Client(built_in.address) as client:
        answer = client.get(target, method="POST", body=body)
        assert 400 <= answer.status < 500
        if field is not None:
            assert json.loads(answer.body)["field"] == field
        assert client.get("/emails").status == 200


def test_a_killed_process_leaves_a_whole_database(choices: list[str], tmp_path: Path) -> None:
    """Killed again and again in the middle of writes. What was answered 201 is there; what is there is whole."""
    path = tmp_path / "mail.db"
    acknowledged: list[int] = []
    for _ in range(4):
        server = ServerProcess(*choices, "--database", f"sqlite:///{path}", target="")

        def write(server: ServerProcess = server) -> None:
            try:
                with Client(server.address) as client:
                    while True:
                        answer = post(client, "/emails", EMAIL)
                        if answer.status == 201:
                            acknowledged.append(json.loads(answer.body)["id"])
            except (CutShort, OSError):
                return

        before = len(acknowledged)
        with ThreadPoolExecutor(4) as threads:
            writers = [threads.submit(write) for _ in range(4)]
            eventually(lambda before=before: len(acknowledged) >= before + 30)  # type: ignore[misc]
            server.kill()
            for writer in writers:
                writer.result()
        assert sound(path)
    with sqlite3.connect(path) as connection:
        rows = connection.execute("SELECT id, sender, subject, body FROM emails").fetchall()
    connection.close()
    assert {row[0] for row in rows} >= set(acknowledged)
    assert {row[1:] for row in rows} == {tuple(EMAIL.values())}
    with serving(*choices, "--database", f"sqlite:///{path}", target="") as server, Client(server.address) as client:
        assert client.get(f"/emails/{acknowledged[-1]}").status == 200
        assert post(client, "/emails", EMAIL).status == 201


def test_a_database_that_another_holds_locked_is_503_and_comes_back(choices: list[str], tmp_path: Path) -> None:
    path = tmp_path / "mail.db"
    with serving(*choices, "--database", f"sqlite:///{path}", target="") as server, Client(server.address) as client:
        first = json.loads(post(client, "/emails", EMAIL).body)["id"]
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")
        begun = time.monotonic()
        answer = post(client, "/emails", EMAIL)
        assert (answer.status, answer.reason) == (503, "Service Unavailable")
        assert answer.get("retry-after") is not None
        assert time.monotonic() - begun < 30
        other.execute("ROLLBACK")
        other.close()
        assert json.loads(post(client, "/emails", EMAIL).body)["id"] == first + 1
    assert sound(path)


def test_a_database_that_can_not_be_written_is_503_and_can_still_be_read(choices: list[str], tmp_path: Path) -> None:
    """Files may not grow: the disk is full, as far as the process can tell."""
    path = tmp_path / "mail.db"
    with serving(*choices, "--database", f"sqlite:///{path}", target="") as server, Client(server.address) as client:
        first = json.loads(post(client, "/emails", EMAIL).body)["id"]
        limit_files(server, max(one.stat().st_size for one in tmp_path.iterdir()))
        statuses = {post(client, "/emails", EMAIL | {"body": "x" * 10_000}).status for _ in range(20)}
        assert 503 in statuses
        assert statuses <= {201, 503}
        assert client.get(f"/emails/{first}").status == 200
        limit_files(server, -1)
        eventually(lambda: post(client, "/emails", EMAIL).status == 201)
    assert sound(path)


def limit_files(server: ServerProcess, size: int) -> None:
    """How large a file may be that the server writes to."""
    resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (size, -1))


def test_a_database_that_is_for_reading_only_is_told_before_or_503(choices: list[str], tmp_path: Path) -> None:
    path = tmp_path / "mail.db"
    with serving(*choices, "--database", f"sqlite:///{path}", target="") as server, Client(server.address) as client:
        assert post(client, "/emails", EMAIL).status == 201
    path.chmod(stat.S_IRUSR)
    humble = serving(*choices, "--database", f"sqlite:///{path}", target="", humble=True)
    with humble as server, Client(server.address) as client:
        assert client.get("/emails/1").status == 200
        answer = post(client, "/emails", EMAIL)
        assert answer.status == 503
        assert answer.error.endswith("The database is read-only.")
        assert answer.get("retry-after") is not None
        assert client.get("/emails/1").status == 200
    assert sound(path)
