"""The transactions on messages and inboxes: each whole or not at all, and the count always right."""

import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clerestory.handlers.mail import store as mail_store
from clerestory.handlers.mail.sqlite import add_email, deliver, find_email, list_emails, prepare, read_inbox
from clerestory.handlers.mail.store import FieldError


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.execute("PRAGMA foreign_keys = ON")
    prepare(connection, with_samples=True)
    yield connection
    check(connection)
    connection.close()


def check(connection: sqlite3.Connection) -> None:
    """The database is whole, and every inbox counts what is in it."""
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    wrong = connection.execute(
        "SELECT recipient, count FROM inboxes AS i WHERE count > capacity"
        " OR count != (SELECT count(*) FROM deliveries AS d WHERE d.recipient = i.recipient)"
    ).fetchall()
    assert wrong == []


def test_the_tables_are_made_once(connection: sqlite3.Connection) -> None:
    add_email(connection, "a", "b", "c")
    prepare(connection, with_samples=True)
    assert connection.execute("SELECT count(*) FROM emails").fetchone() == (1001,)


def test_without_samples_there_are_inboxes_but_no_messages() -> None:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    prepare(connection, with_samples=False)
    assert list_emails(connection, 10, 0) == ([], False)
    assert read_inbox(connection, "ada") == {"recipient": "ada", "count": 0, "capacity": 100, "emails": []}
    connection.close()


@pytest.mark.parametrize(
    ("statement", "version"), [("CREATE TABLE theirs (x)", 0), ("PRAGMA user_version = 2", 2), ("SELECT 1", None)]
)
def test_a_database_of_something_else_is_refused(statement: str, version: int | None) -> None:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.execute(statement)
    if version is None:
        prepare(connection, with_samples=False)
    else:
        with pytest.raises(ValueError, match=f"its version is {version}, this server's is 1"):
            prepare(connection, with_samples=False)
        assert connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'emails'").fetchone() == (0,)
    connection.close()


def refusal(error: pytest.ExceptionInfo[FieldError]) -> tuple[int, str | None, str]:
    return error.value.status, error.value.field, error.value.detail


def test_a_message_is_found_by_its_number(connection: sqlite3.Connection) -> None:
    email = find_email(connection, 42)
    assert list(email) == ["id", "subject", "sender", "body"]
    assert (email["id"], email["subject"]) == (42, "hello")
    with pytest.raises(FieldError) as caught:
        find_email(connection, 1001)
    assert refusal(caught) == (404, "id", "There is no email 1001.")


@pytest.mark.parametrize(
    ("limit", "after", "numbers", "more"),
    [
        (2, 0, [1, 2], True),
        (2, 998, [999, 1000], False),
        (2, 997, [998, 999], True),
        (5, 998, [999, 1000], False),
        (5, 1000, [], False),
        (5, (1 << 63) - 1, [], False),
    ],
)
def test_messages_are_listed_in_stretches(
    connection: sqlite3.Connection, limit: int, after: int, numbers: list[int], more: bool
) -> None:
    emails, there_is_more = list_emails(connection, limit, after)
    assert ([email["id"] for email in emails], there_is_more) == (numbers, more)
    assert all(list(email) == ["id", "subject", "sender"] for email in emails)


def test_a_new_message_gets_the_next_number(connection: sqlite3.Connection) -> None:
    email = add_email(connection, "me@example.org", "s", "b")
    assert email == {"id": 1001, "subject": "s", "sender": "me@example.org", "body": "b"}
    assert find_email(connection, 1001) == email


def test_as_many_messages_as_there_may_be_pass_and_one_more_is_507(
    connection: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mail_store, "MAX_EMAILS", 1001)
    add_email(connection, "a", "b", "c")
    with pytest.raises(FieldError) as caught:
        add_email(connection, "a", "b", "c")
    assert refusal(caught) == (507, None, "There are 1,001 emails already.")


def test_a_message_is_put_into_an_inbox(connection: sqlite3.Connection) -> None:
    expected = {"recipient": "ada", "email_id": 42, "count": 1, "capacity": 100}
    assert deliver(connection, "ada", 42) == expected
    assert deliver(connection, "grace", 42)["count"] == 1
    inbox = read_inbox(connection, "ada")
    assert inbox["emails"] == [{"id": 42, "subject": "hello", "sender": "frances@example.org"}]
    assert (inbox["count"], inbox["capacity"]) == (1, 100)


@pytest.mark.parametrize(
    ("recipient", "number", "expected"),
    [
        ("ada", 5000, (404, "email_id", "There is no email 5000.")),
        ("nobody", 42, (404, "recipient", "There is no inbox for nobody.")),
        ("nobody", 5000, (404, "email_id", "There is no email 5000.")),
        ("ADA", 42, (404, "recipient", "There is no inbox for ADA.")),
        ("ada", 1, (409, "email_id", "Email 1 is already in the inbox of ada.")),
        ("tiny", 42, (507, "recipient", "The inbox of tiny is full: it has room for 3 emails.")),
        ("tiny", 2, (409, "email_id", "Email 2 is already in the inbox of tiny.")),
    ],
)
def test_what_cannot_be_put_there_is_refused(
    connection: sqlite3.Connection, recipient: str, number: int, expected: tuple[int, str, str]
) -> None:
    deliver(connection, "ada", 1)
    for room in (1, 2, 3):
        assert deliver(connection, "tiny", room)["count"] == room
    before = list(connection.iterdump())
    with pytest.raises(FieldError) as caught:
        deliver(connection, recipient, number)
    assert refusal(caught) == expected
    assert list(connection.iterdump()) == before


def test_an_inbox_that_is_not_there_is_404(connection: sqlite3.Connection) -> None:
    with pytest.raises(FieldError) as caught:
        read_inbox(connection, "nobody")
    assert refusal(caught) == (404, "recipient", "There is no inbox for nobody.")


@settings(max_examples=50)
@given(st.lists(st.tuples(st.sampled_from(["tiny", "ada", "nobody"]), st.integers(0, 6)), max_size=30))
def test_whatever_is_put_there_the_counts_are_right(deliveries: list[tuple[str, int]]) -> None:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    prepare(connection, with_samples=False)
    for number in range(5):
        add_email(connection, "a", str(number), "c")
    model: dict[str, set[int]] = {"tiny": set(), "ada": set()}
    for recipient, number in deliveries:
        try:
            deliver(connection, recipient, number)
        except FieldError:
            continue
        model[recipient].add(number)
    for recipient, numbers in model.items():
        assert {email["id"] for email in read_inbox(connection, recipient)["emails"]} == numbers
        assert len(numbers) <= (3 if recipient == "tiny" else 5)
    check(connection)
    connection.close()


DELIVER_FOR_EVER = """
import sys
from clerestory.handlers.backends.sqlite import Database
from clerestory.handlers.mail.samples import PEOPLE
from clerestory.handlers.mail.sqlite import add_email, deliver
from tests.handlers.running import FakeExecutor

async def write(database):
    while True:
        email = await database.write(add_email, "a@example.org", "a subject", "a body " * 1000)
        for name in PEOPLE:
            await database.write(deliver, name.lower(), email["id"])
            print(name, flush=True)

FakeExecutor().run(write(Database("sqlite:///" + sys.argv[1])))
"""


@pytest.mark.parametrize("answers", [1, 30, 100])
def test_a_server_killed_in_the_middle_leaves_a_whole_database(tmp_path: Path, answers: int) -> None:
    path = tmp_path / "mail.db"
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("BEGIN")
    prepare(connection, with_samples=False)
    connection.execute("COMMIT")
    command = [sys.executable, "-c", DELIVER_FOR_EVER, str(path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[3])
    assert process.stdout is not None
    for _ in range(answers):
        process.stdout.readline()
    process.send_signal(signal.SIGKILL)
    answered = answers + len(process.stdout.readlines())
    process.wait()
    process.stdout.close()
    check(connection)
    (delivered,) = connection.execute("SELECT count(*) FROM deliveries").fetchone()
    assert delivered in (answered, answered + 1), "all that was answered, and at most the one in the making"
    connection.close()
