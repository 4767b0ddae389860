"""Content: JSON, text and forms; what is not well-formed is 400, with the place."""

import pytest

from clerestory.handlers.api.content import MOST_FIELDS, check_form, parse_form, parse_json, parse_pairs, parse_text
from clerestory.handlers.api.errors import HTTPError


def test_json_is_its_value() -> None:
    assert parse_json('{"ä": [1, null]}'.encode()) == {"ä": [1, None]}


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (b"", "The body is not JSON: line 1, column 1: Expecting value."),
        (b'{\n "a": }', "The body is not JSON: line 2, column 7: Expecting value."),
        (b'"\xff"', "The body is not JSON: byte 1 is not UTF-8."),
        (b"[NaN]", "The body is not JSON that is read here: NaN is not a value of JSON."),
        (b"-Infinity", "The body is not JSON that is read here: -Infinity is not a value of JSON."),
    ],
)
def test_what_is_no_json_is_400_with_its_place(body: bytes, detail: str) -> None:
    with pytest.raises(HTTPError) as caught:
        parse_json(body)
    assert (caught.value.status, caught.value.detail) == (400, detail)


@pytest.mark.parametrize("body", [b"[" * 200_000, b"1" * 10_000])
def test_json_that_python_does_not_read_is_400(body: bytes) -> None:
    with pytest.raises(HTTPError) as caught:
        parse_json(body)
    assert caught.value.status == 400


@pytest.mark.parametrize(
    ("body", "kind", "text"),
    [
        ("ä".encode(), None, "ä"),
        ("ä".encode(), b"text/plain; charset=UTF-8", "ä"),
        (b"\xe4", b'text/plain; charset="iso-8859-1"', "ä"),
        (b"a", b"text/plain;charset=us-ascii", "a"),
    ],
)
def test_text_is_read_in_its_charset(body: bytes, kind: bytes | None, text: str) -> None:
    assert parse_text(body, kind) == text


@pytest.mark.parametrize(
    ("body", "kind", "status", "detail"),
    [
        (b"a\xff", None, 400, "The body is not UTF-8: byte 1 is not."),
        (b"a", b"text/plain; charset=utf-7", 415, "Text is read in UTF-8, US-ASCII or ISO-8859-1."),
    ],
)
def test_text_that_is_not_of_its_charset_is_refused(body: bytes, kind: bytes | None, status: int, detail: str) -> None:
    with pytest.raises(HTTPError) as caught:
        parse_text(body, kind)
    assert (caught.value.status, caught.value.detail) == (status, detail)


def test_a_form_has_the_first_of_each_name_and_all_of_them() -> None:
    form = parse_form(b"a=1&b=two+words&a=%C3%A4&empty=&flag")
    assert form == {"a": "1", "b": "two words", "empty": "", "flag": ""}
    assert form.all("a") == ["1", "ä"]
    assert form.all("none") == []
    assert parse_form(b"") == {}


def test_a_form_that_is_not_utf_8_is_400() -> None:
    with pytest.raises(HTTPError, match="form is not UTF-8"):
        parse_form(b"a=%FF")


def test_a_form_has_so_many_fields_and_no_more() -> None:
    assert len(parse_pairs("&".join(["a=1"] * MOST_FIELDS), "form")) == MOST_FIELDS
    with pytest.raises(HTTPError, match=f"more than {MOST_FIELDS} fields"):
        parse_pairs("&".join(["a=1"] * (MOST_FIELDS + 1)), "form")


def test_a_form_says_that_it_is_one() -> None:
    check_form(b"Application/X-WWW-Form-URLencoded; charset=utf-8")
    for kind in (None, b"application/json", b"multipart/form-data; boundary=x"):
        with pytest.raises(HTTPError) as caught:
            check_form(kind)
        assert caught.value.status == 415
