"""The deadlines of a route: said as keywords, checked when they are registered, noted in the request when it comes."""

from typing import Any

import pytest

from clerestory.handlers.api.messages import Request, Response, RouteLimits
from clerestory.handlers.api.operations import HalfClose
from clerestory.handlers.api.route_limits import Limited, limits_of
from clerestory.handlers.router import Router


def test_a_route_without_keywords_has_no_limits_and_is_called_as_it_is() -> None:
    router = Router()
    seen: list[RouteLimits | None] = []

    @router.get("/")
    def show(request: Request) -> Response:
        seen.append(request.limits)
        return Response()

    router(Request("GET", "/", ()))
    assert (limits_of("/", {}), seen) == (None, [None])


@pytest.mark.parametrize("verb", ["get", "post", "put", "patch", "delete"])
def test_what_a_route_sets_is_in_the_request_before_its_handler_runs(verb: str) -> None:
    router = Router()
    seen: list[Any] = []

    def show(request: Request, name: str) -> Response:
        seen.append((request.limits, name))
        return Response()

    register = getattr(router, verb)("/events/{name}", backend_timeout=3600, handler_total=7200.5, half_close="cancel")
    assert register(show) is show
    router(Request(verb.upper(), "/events/a", ()))
    assert seen == [(RouteLimits(3600, 7200.5, HalfClose.CANCEL), "a")]


def test_what_a_route_does_not_set_is_left_to_the_server() -> None:
    assert limits_of("/", {"half_close": "answer"}) == RouteLimits(None, None, HalfClose.ANSWER)
    assert limits_of("/", {"backend_timeout": 60}) == RouteLimits(60, None, None)


@pytest.mark.parametrize("name", ["backend_timeout", "handler_total"])
@pytest.mark.parametrize("value", [0, -1, "60", True, float("nan")])
def test_seconds_are_numbers_above_nothing(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=rf"route '/a': {name} is .*, not a number of seconds above 0"):
        limits_of("/a", {name: value})  # type: ignore[misc]


def test_a_half_close_is_one_of_three_words() -> None:
    with pytest.raises(ValueError, match="half_close is 'never'; there are answer, briefly, cancel"):
        limits_of("/a", {"half_close": "never"})


def test_a_limited_handler_is_called_with_the_parameters_of_the_path() -> None:
    seen: list[Any] = []

    def show(request: Request, number: int) -> Response:
        seen.append((request.limits, number))
        return Response()

    Limited(show, RouteLimits(1.0))(Request("GET", "/", ()), number=7)
    assert seen == [(RouteLimits(1.0), 7)]


def test_a_mounted_application_may_have_limits_and_its_methods_are_known_all_the_same() -> None:
    outer, inner = Router(), Router()
    seen: list[RouteLimits | None] = []

    @inner.delete("/a")
    def remove(request: Request) -> Response:
        seen.append(request.limits)
        return Response()

    outer.mount("/in", inner, half_close="briefly")
    outer(Request("DELETE", "/in/a", ()))
    assert seen == [RouteLimits(half_close=HalfClose.BRIEFLY)]
    assert "DELETE" in outer.methods
