"""Events: fields are checked where they are given, what is ours is dropped, and a departure is told from a fault."""

from pathlib import Path
from typing import Any

import pytest

from clerestory.handlers.asgi.errors import ClientDisconnected, EventError
from clerestory.handlers.asgi.events import (
    KNOWN,
    FieldChecker,
    body_event,
    bytes_of,
    disconnect,
    file_of_descriptor,
    file_of_path,
    is_departure,
    status_of,
)


def test_fields_are_lower_case_without_space_at_their_ends_and_lengths_are_apart() -> None:
    given = [(b"X-A", b" b "), [b"content-length", b"5"], (b"set-cookie", b"1"), (b"set-cookie", b"2")]
    fields = ((b"x-a", b"b"), (b"set-cookie", b"1"), (b"set-cookie", b"2"))
    assert FieldChecker().check(given) == (fields, 5)
    assert FieldChecker().check(iter(given)) == (fields, 5)


@pytest.mark.parametrize("name", [b"Transfer-Encoding", b"connection", b"keep-alive", b"upgrade", b"TE", b"trailer"])
def test_what_frames_a_message_or_belongs_to_the_connection_is_ours(name: bytes) -> None:
    assert FieldChecker().check([(name, b"x"), (b"a", b"b")]) == (((b"a", b"b"),), None)


@pytest.mark.parametrize(
    "header",
    [
        (b"x", b"a\r\nb"),
        (b"x", b"a\nb"),
        (b"x", b"a\0b"),
        (b"x:", b"a"),
        (b"", b"a"),
        ("x", b"a"),
        (b"x", "a"),
        (b"x", bytearray(b"a")),
        (b"x",),
        (b"x", b"a", b"b"),
        (b"content-length", b"+5"),
        3,
    ],
)
def test_what_is_ill_formed_is_refused(header: Any) -> None:
    with pytest.raises(EventError):
        FieldChecker().check([header])


def test_a_length_comes_once() -> None:
    with pytest.raises(EventError, match="repeated"):
        FieldChecker().check([(b"content-length", b"5"), (b"content-length", b"5")])


def test_the_same_fields_again_are_the_same_object_unless_they_have_changed() -> None:
    checker, constant = FieldChecker(), [(b"a", b"b"), (b"content-length", b"1")]
    first = checker.check(constant)
    assert checker.check(constant)[0] is first[0]
    assert checker.check([(b"a", b"b"), (b"content-length", b"2")]) == (first[0], 2)
    changing = [[b"a", b"b"]]
    checker.check(changing)
    changing[0][1] = b"c"
    assert checker.check(changing) == (((b"a", b"c"),), None)


def test_what_is_remembered_is_bounded() -> None:
    checker = FieldChecker()
    for number in range(KNOWN + 1):
        checker.check([(b"x", b"%d" % number)])
    assert len(checker._known) == 1


def test_events_of_a_request() -> None:
    assert body_event(b"x", True) == {"type": "http.request", "body": b"x", "more_body": True}
    assert disconnect() == {"type": "http.disconnect"}
    assert disconnect() is not disconnect()


def _raised(
    error: BaseException, cause: BaseException | None = None, context: BaseException | None = None
) -> BaseException:
    error.__cause__, error.__context__ = cause, context
    return error


def test_a_departure_is_what_was_raised_from_one() -> None:
    gone = ClientDisconnected()
    assert is_departure(gone)
    assert is_departure(_raised(Exception(), cause=gone))
    assert is_departure(_raised(Exception(), context=gone))
    assert is_departure(BaseExceptionGroup("", [gone, _raised(Exception(), cause=gone)]))
    assert not is_departure(BaseExceptionGroup("", [gone, Exception()]))
    assert not is_departure(OSError())
    loop = Exception()
    other = _raised(Exception(), cause=loop)
    assert not is_departure(_raised(loop, cause=other))


def test_files_by_name_and_by_descriptor(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"0123456789")
    file = file_of_path({"path": str(path)})
    assert (file.offset, file.count, file.read()) == (0, 10, b"0123456789")
    file.close()
    with path.open("rb") as source:
        source.seek(4)
        rest = file_of_descriptor({"file": source})
        assert (rest.offset, rest.count) == (4, 6)
        part = file_of_descriptor({"file": source.fileno(), "offset": 2, "count": 3})
        assert part.read() == b"234"
        rest.close()
        part.close()
        assert source.read() == b"456789"
    with pytest.raises(OSError, match="No such file"):
        file_of_path({"path": str(path) + "x"})


@pytest.mark.parametrize("status", [199, 600, "200", None])
def test_an_answer_is_started_with_a_status_that_ends_the_exchange(status: Any) -> None:
    assert status_of({"status": 200}) == 200
    with pytest.raises(EventError, match="is not a number from 200 to 599"):
        status_of({"status": status})


@pytest.mark.parametrize("body", [b"abc", bytearray(b"abc"), memoryview(b"abc")])
def test_a_body_is_anything_like_bytes_and_becomes_bytes(body: Any) -> None:
    assert bytes_of({"body": body}) == b"abc"
    assert type(bytes_of({"body": body})) is bytes
    assert bytes_of({}) == b""
    with pytest.raises(EventError, match="a body is bytes, not str"):
        bytes_of({"body": "abc"})
