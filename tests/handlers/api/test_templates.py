"""Templates of paths: what they are made of. Which paths match is in tests/handlers/test_router.py."""

import uuid

import pytest

from clerestory.handlers.api.templates import CONVERTERS, Parameter, parse_template


def test_a_template_is_segments_and_parameters() -> None:
    assert parse_template("/emails/{id:int}/{part}") == ("", "emails", Parameter("id", "int"), Parameter("part", "str"))


def test_a_kind_converts_or_refuses() -> None:
    text = str(uuid.UUID(int=7))
    converted = [CONVERTERS[kind](text) for kind in ("str", "int", "uuid", "path")]
    assert converted == [text, None, uuid.UUID(text), text]
    assert [CONVERTERS["int"](text) for text in ("7", "07", "-7", str(1 << 63))] == [7, None, None, None]


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("x", "does not begin with a slash"),
        ("/{rest:path}/x", "must be the last"),
        ("/{a}/{a}", "twice"),
        ("/{a:date}", "unknown converter 'date'"),
    ],
)
def test_a_wrong_template_is_refused(path: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_template(path)
