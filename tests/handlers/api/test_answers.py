"""What a handler may return instead of a Response, and what it is told of all else."""

import json

import pytest

from clerestory.handlers.api.answers import response_of


def test_a_dict_and_a_list_are_json() -> None:
    for value in ({"ä": [1, None]}, [1, {"two": 3}], {}, []):
        response = response_of(value)
        assert (response.status, response.fields) == (200, ((b"content-type", b"application/json"),))
        assert json.loads(response.body) == value  # type: ignore[arg-type]


def test_a_str_is_text_and_bytes_are_bytes() -> None:
    text, data = response_of("ä"), response_of(b"\xff")
    assert (text.body, text.fields) == ("ä".encode(), ((b"content-type", b"text/plain; charset=utf-8"),))
    assert (data.body, data.fields) == (b"\xff", ((b"content-type", b"application/octet-stream"),))


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (None, ": is a `return` missing? An answer without a body is Response(status=204)"),
        (({}, 404), ": give the status to json_response or text_response"),
        (7, ""),
        (object, ""),
    ],
)
def test_all_else_is_told_with_what_to_write(answer: object, hint: str) -> None:
    kind = type(answer).__name__
    with pytest.raises(TypeError) as caught:
        response_of(answer)
    assert str(caught.value) == f"the handler returned {kind}, not a Response, dict, list, str or bytes{hint}"


def test_what_json_does_not_have_is_an_error() -> None:
    with pytest.raises(TypeError):
        response_of({"when": object()})
    with pytest.raises(ValueError, match="JSON"):
        response_of([float("nan")])


def test_a_coroutine_tells_where_its_function_stands() -> None:
    async def answers() -> None: ...

    coroutine = answers()
    place = f"{answers.__qualname__} ({__file__}:{answers.__code__.co_firstlineno})"
    with pytest.raises(TypeError) as caught:
        response_of(7, coroutine)
    assert str(caught.value).startswith(f"{place} returned int, ")
    coroutine.close()
