"""Where a handler stands in the user's sources."""

from functools import partial
from typing import Any

import pytest

from clerestory import Request, Router
from clerestory.handlers.api.origin import code_of, place_of


def show(request: Request, n: int = 0) -> dict[str, int]:
    return {"n": n}


async def wait(request: Request) -> str:
    return "waited"


class Shop:
    def sell(self, request: Request) -> str:
        return "sold"

    def __call__(self, request: Request) -> str:
        return "called"


PLACE = f"show ({__file__}:{show.__code__.co_firstlineno})"


def routed(**terms: Any) -> Any:
    """What a router calls for `show`, which has a query parameter."""
    router = Router()
    router.get("/", **terms)(show)
    request = Request("GET", "/", ())
    router(request)
    return request.handler


@pytest.mark.parametrize(
    "what", [show, partial(show), partial(partial(show), n=1), routed(), routed(backend_timeout=1)]
)
def test_a_handler_is_found_below_what_is_around_it(what: Any) -> None:
    assert place_of(what) == PLACE


def test_a_coroutine_a_method_and_an_object_have_places() -> None:
    steps = wait(Request("GET", "/", ()))
    assert place_of(steps) == f"wait ({__file__}:{wait.__code__.co_firstlineno})"
    steps.close()
    assert place_of(Shop().sell).startswith("Shop.sell (")
    assert place_of(Shop()).startswith("Shop.__call__ (")


@pytest.mark.parametrize("what", [None, 7, len, iter([])])
def test_what_is_no_function_has_none(what: Any) -> None:
    assert (code_of(what), place_of(what)) == (None, "")
