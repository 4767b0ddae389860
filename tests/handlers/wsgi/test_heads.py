"""What start_response is given."""

from typing import Any

import pytest

from clerestory.handlers.wsgi.heads import KEPT, HeadError, Heads


def test_a_head_is_lower_case_bytes_and_its_length_apart() -> None:
    status, reason, fields, length = Heads().check(
        "200 OK", [("Content-Type", " text/plain "), ("Content-Length", "3"), ("Transfer-Encoding", "chunked")]
    )
    assert (status, reason, fields, length) == (200, None, ((b"content-type", b"text/plain"),), 3)


@pytest.mark.parametrize(
    ("status", "reason"), [("200 Fine", "Fine"), ("200", None), ("404 Not Found", None), ("200 caf\xe9", None)]
)
def test_a_reason_is_kept_where_it_is_not_the_usual_one(status: str, reason: str | None) -> None:
    assert Heads().check(status, [])[1] == reason


def test_the_same_head_is_the_same_object_and_not_all_are_kept() -> None:
    heads = Heads()
    assert heads.check("200 OK", [("A", "b")])[2] is heads.check("200 OK", [("A", "b")])[2]
    for number in range(2 * KEPT):
        heads.check("200 OK", [("A", str(number))])
    assert len(heads._known) <= KEPT


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (200, []),
        ("20 OK", []),
        ("199 No", []),
        ("600 No", []),
        ("\u0662\u0660\u0660 OK", []),
        ("200 a\nb", []),
        ("200 OK", None),
        ("200 OK", [["A", "b"]]),
        ("200 OK", [("A",)]),
        ("200 OK", [("A", b"b")]),
        ("200 OK", [("A", "b\n")]),
        ("200 OK", [("", "b")]),
        ("200 OK", [("A", "\u20ac")]),
        ("200 OK", [("Content-Length", "x")]),
    ],
)
def test_what_is_not_well_formed_is_refused(status: Any, headers: Any) -> None:
    with pytest.raises(HeadError):
        Heads().check(status, headers)
