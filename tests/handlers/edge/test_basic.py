"""Basic authentication: RFC 7617, what is remembered, and a file that changes."""

import os
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest

from clerestory.handlers.api.errors import HTTPError
from clerestory.handlers.api.messages import Request
from clerestory.handlers.backends.journal import JOURNAL
from clerestory.handlers.edge import basic
from clerestory.handlers.edge.basic import LONGEST, SECONDS, Basic
from tests.handlers.edge.test_passwords import BCRYPT
from tests.handlers.running import FakeExecutor, FakeLoop


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "users"
    path.write_text(f"frances:{BCRYPT}\nö:{BCRYPT}\n")
    return path


def credentials(text: str, encoding: str = "utf-8") -> bytes:
    return b"Basic " + b64encode(text.encode(encoding))


def request(value: bytes | None) -> Request:
    return Request("GET", "/", () if value is None else ((b"authorization", value),))


def status(gate: Basic, value: bytes | None, loop: FakeLoop) -> int:
    """How a request with these credentials ends."""
    asked = request(value)
    try:
        if not gate.knows(asked, loop.now):
            FakeExecutor(loop).run(gate.admit(asked, loop))
    except HTTPError as error:
        challenged = error.fields == ((b"www-authenticate", b'Basic realm="restricted", charset="UTF-8"'),)
        return error.status if challenged == (error.status == 401) else -1
    return 200


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (credentials("frances:correct horse"), 200),
        (credentials("frances:correct horse").replace(b"Basic", b"bAsIc"), 200),
        (credentials("ö:correct horse"), 200),
        (credentials("ö:correct horse", "latin-1"), 401),
        (credentials("frances:wrong"), 401),
        (credentials("frances:correct horse "), 401),
        (credentials("nobody:correct horse"), 401),
        (credentials("frances"), 401),
        (credentials(":correct horse"), 401),
        (credentials("frances:correct\0horse"), 401),
        (None, 401),
        (b"", 401),
        (b"Basic", 401),
        (b"Basic !!!", 401),
        (b"Basic " + b"=" * 8, 401),
        (b"Bearer abc", 401),
        (credentials("frances:correct horse") + b", Basic x", 401),
    ],
)
def test_who_is_let_in(file: Path, value: bytes | None, found: int) -> None:
    assert status(Basic(str(file)), value, FakeLoop()) == found


def test_credentials_of_some_length_are_looked_at_and_longer_ones_are_not(file: Path) -> None:
    gate = Basic(str(file))
    checked: list[int] = []

    class Noting:
        def check(self, user: str, password: str) -> bool:
            checked.append(len(password))
            return True

    gate._passwords = Noting()  # type: ignore[assignment]
    room = LONGEST * 3 // 4
    assert status(gate, credentials("f:" + "x" * (room - 2)), FakeLoop()) == 200
    assert status(gate, credentials("f:" + "x" * (room - 1)), FakeLoop()) == 401
    assert checked == [room - 2]


def test_what_was_right_is_remembered_for_a_while_and_what_was_wrong_is_not(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed: list[str] = []

    def matches(_: str, password: str) -> bool:
        hashed.append(password)
        return password == "correct horse"

    monkeypatch.setattr("clerestory.handlers.edge.passwords.matches", matches)
    gate, loop = Basic(str(file)), FakeLoop()
    right, wrong = credentials("frances:correct horse"), credentials("frances:x")
    assert [status(gate, right, loop) for _ in range(3)] == [200] * 3
    assert hashed == ["correct horse"]
    assert [status(gate, wrong, loop) for _ in range(2)] == [401] * 2
    assert hashed == ["correct horse", "x", "x"]
    loop.now += SECONDS
    assert status(gate, right, loop) == 200
    assert hashed == ["correct horse", "x", "x", "correct horse"]


def test_so_many_are_remembered_and_the_oldest_is_forgotten(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(basic, "REMEMBERED", 2)
    monkeypatch.setattr("clerestory.handlers.edge.passwords.matches", lambda *_: True)
    gate, loop = Basic(str(file)), FakeLoop()
    for word, remembered in (("a", 1), ("b", 2), ("c", 2)):
        assert status(gate, credentials(f"frances:{word}"), loop) == 200
        assert gate.remembered == remembered
    assert not gate.knows(request(credentials("frances:a")), loop.now)
    assert gate.knows(request(credentials("frances:c")), loop.now)


def changed(file: Path, text: str) -> None:
    file.write_text(text)
    status = file.stat()
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns + 1_000_000_000))


def test_a_user_who_is_taken_out_is_out_and_a_bad_file_is_told_of_while_the_old_one_holds(file: Path) -> None:
    told: list[tuple[str, dict[str, Any]]] = []

    class Log:
        def warning(self, event: str, **fields: Any) -> None:
            told.append((event, fields))

    gate, loop = Basic(str(file)), FakeLoop()
    loop.registry[JOURNAL] = Log()
    frances, ada = credentials("frances:correct horse"), credentials("ada:correct horse")
    assert [status(gate, one, loop) for one in (frances, ada)] == [200, 401]
    changed(file, f"ada:{BCRYPT}\n")
    assert status(gate, frances, loop) == 200  # not looked at yet
    loop.now += basic.LOOK
    assert [status(gate, one, loop) for one in (frances, ada)] == [401, 200]
    changed(file, "ada:plain, and longer than before")
    loop.now += basic.LOOK
    assert [status(gate, one, loop) for one in (ada, frances)] == [200, 401]
    assert [event for event, _ in told] == ["passwords_refused"]
    assert "plain" not in str(told)


def test_of_a_full_queue_503_is_told(file: Path) -> None:
    gate, loop = Basic(str(file)), FakeLoop()
    gate._pool.close()
    assert status(gate, credentials("frances:correct horse"), loop) == 503
