"""Query parameters: found when a route is registered, converted as annotated, 400 where they are wrong."""

import uuid
from collections.abc import Callable
from typing import Any, Optional

import pytest

from clerestory.handlers.api.errors import HTTPError
from clerestory.handlers.api.messages import Request
from clerestory.handlers.api.query import Queried, queried

ID = "01234567-89ab-cdef-0123-456789abcdef"


def call(handler: Callable[..., Any], query: str, **path: Any) -> Any:
    return queried("/", path, handler)(Request("GET", f"/?{query}", ()), **path)


def every(
    request: Request,
    n: int,
    x: float = 0.5,
    on: bool = False,
    text: str = "",
    who: uuid.UUID | None = None,
    tags: list[str] = [],  # noqa: B006 - it is not written to
    numbers: Optional[list[int]] = None,  # noqa: UP045 - the older spelling is read, too
) -> tuple[Any, ...]:
    return (n, x, on, text, who, tags, numbers)


def test_values_are_converted_as_the_annotations_say() -> None:
    query = f"n=-7&x=1.5e3&on=true&text=%C3%A4+b&who={ID}&tags=a&tags=b&numbers=1&unknown=2"
    assert call(every, query) == (-7, 1500.0, True, "ä b", uuid.UUID(ID), ["a", "b"], [1])


def test_what_is_not_given_has_its_default() -> None:
    assert call(every, "n=0") == (0, 0.5, False, "", None, [], None)


def test_a_list_without_a_default_is_empty_where_nothing_is_given() -> None:
    def handler(request: Request, *, tags: list[int]) -> list[int]:
        return tags

    assert call(handler, "") == []
    assert call(handler, "tags=1&tags=2") == [1, 2]


def test_annotations_that_are_text_are_read() -> None:
    def handler(request: "Request", n: "int" = 1) -> int:
        return n

    assert call(handler, "n=2") == 2


def test_parameters_of_the_path_come_beside_them() -> None:
    def handler(request: Request, name: str, page: int = 1) -> tuple[str, int]:
        return name, page

    assert call(handler, "page=2&name=other", name="ada") == ("ada", 2)


@pytest.mark.parametrize(
    ("query", "detail"),
    [
        ("", "The query parameter n must be given: an integer."),
        ("n=", "The query parameter n must be an integer."),
        ("n=1.0", "The query parameter n must be an integer."),
        ("n=+1", "The query parameter n must be an integer."),
        ("n=007", "The query parameter n must be an integer."),
        ("n=9223372036854775808", "The query parameter n must be an integer."),
        ("n=%D9%A3", "The query parameter n must be an integer."),
        ("n=1&n=2", "The query parameter n must be given once."),
        ("n=1&x=nan", "The query parameter x must be a number."),
        ("n=1&x=" + "9" * 41, "The query parameter x must be a number."),
        ("n=1&on=yes", "The query parameter on must be true or false."),
        ("n=1&text=%00", "The query parameter text must be text without control characters."),
        ("n=1&who=7", "The query parameter who must be a UUID."),
        ("n=1&numbers=1&numbers=x", "The query parameter numbers must be an integer."),
        ("n=1&text=%FF", "The query is not UTF-8."),
    ],
)
def test_a_wrong_value_is_400_and_names_the_parameter(query: str, detail: str) -> None:
    with pytest.raises(HTTPError) as caught:
        call(every, query)
    assert (caught.value.status, caught.value.detail) == (400, detail)


@pytest.mark.parametrize("n", [-(1 << 63), (1 << 63) - 1, 0])
def test_the_greatest_integers_are_read(n: int) -> None:
    assert call(every, f"n={n}")[0] == n


def test_a_handler_without_any_is_called_as_it_is() -> None:
    def plain(request: Request, name: str) -> str:
        return name

    def others(request: Request, name: str, store: Any = None, *more: Any, **options: Any) -> str:
        return name

    assert queried("/{name}", ["name"], plain) is plain
    assert queried("/{name}", ["name"], others) is others
    assert isinstance(queried("/", [], every), Queried)


def test_a_default_without_an_annotation_is_not_for_clients_to_set() -> None:
    handler: Callable[..., str] = lambda request, secret="kept": secret  # noqa: E731
    assert call(handler, "secret=taken") == "kept"


def test_a_parameter_that_nothing_gives_is_an_error_when_it_is_registered() -> None:
    def untyped(request: Request, page) -> None: ...  # type: ignore[no-untyped-def]

    def unknown(request: Request, page: bytes) -> None: ...

    for handler in (untyped, unknown):
        with pytest.raises(TypeError, match="a query parameter is annotated int, float, bool"):
            queried("/", [], handler)
