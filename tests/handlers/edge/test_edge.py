"""What stands around an application: checks in their order, a gate that takes time, and dressers."""

from typing import Any

import pytest

from clerestory.handlers.api.errors import HTTPError
from clerestory.handlers.api.messages import Request, Response, text_response
from clerestory.handlers.edge.edge import Edge, Guarded, replaced, with_fields
from clerestory.handlers.edge.hsts import HSTS
from tests.handlers.running import FakeLoop


class Carrier:
    def __init__(self) -> None:
        self.loop = FakeLoop()


class Check:
    def __init__(self, answer: Any = None) -> None:
        self.answer = answer

    def admit(self, request: Request, now: float) -> Any:
        if isinstance(self.answer, HTTPError):
            raise self.answer
        return self.answer


class Gate:
    """Passes who is known at once, and all others but /no after one wait."""

    def knows(self, request: Request, now: float) -> bool:
        return request.path == "/known"

    async def admit(self, request: Request, loop: Any) -> None:
        await Yields()
        if request.path == "/no":
            raise HTTPError(401)


class Yields:
    def __await__(self) -> Any:
        yield "waits"


class Dresser:
    def apply(self, request: Request, response: Response) -> Response:
        return with_fields(response, (*response.fields, (b"dressed", b"1")))


class Broken:
    def apply(self, request: Request, response: Response) -> Response:
        raise OSError("the disk")


def application(_: Request) -> Response:
    return text_response("served")


def begin(edge: Edge, path: str = "/", inner: Any = application) -> Any:
    return Guarded(inner, edge).begin(Request("GET", path, ()), Carrier())


def test_the_first_check_that_answers_does_so_instead_of_the_application() -> None:
    assert begin(Edge([Check(), Check()])).body == b"served"
    assert begin(Edge([Check(), Check(Response(b"1")), Check(Response(b"2"))])).body == b"1"
    with pytest.raises(HTTPError):
        begin(Edge([Check(HTTPError(429)), Check(Response(b"1"))]))


def test_who_is_known_passes_the_gate_at_once() -> None:
    assert begin(Edge(gate=Gate()), "/known").body == b"served"


def finish(steps: Any) -> Any:
    assert steps.send(None) == "waits"
    with pytest.raises(StopIteration) as stop:
        steps.send(None)
    return stop.value.value


def test_who_is_not_waits_and_then_the_application_is_called() -> None:
    assert finish(begin(Edge(gate=Gate()), "/x")).body == b"served"
    steps = begin(Edge(gate=Gate()), "/no")
    steps.send(None)
    with pytest.raises(HTTPError):
        steps.send(None)


def test_behind_the_gate_a_coroutine_goes_on_and_what_is_no_response_is_handed_on() -> None:
    async def later(_: Request) -> Response:
        await Yields()
        return text_response("later")

    steps = begin(Edge(gate=Gate()), "/x", later)
    assert [steps.send(None), steps.send(None)] == ["waits", "waits"]
    with pytest.raises(StopIteration) as stop:
        steps.send(None)
    assert stop.value.value.body == b"later"
    assert finish(begin(Edge(gate=Gate()), "/x", lambda _: 7)) == 7


def test_dressers_are_applied_in_their_order_and_one_that_breaks_leaves_the_response_as_it_is() -> None:
    response = text_response("x")
    request = Request("GET", "/", ())
    assert Edge((), [Dresser(), Dresser()]).dress(request, response).fields[-2:] == ((b"dressed", b"1"),) * 2
    assert len(response.fields) == 1
    assert Edge((), [Broken(), Dresser()]).dress(request, response) is response


@pytest.mark.parametrize("fields", [None, 7, (b"a",), ((None, b""),), ((1, 2, 3),)])
def test_fields_that_are_none_are_left_to_the_server(fields: Any) -> None:
    response = Response(b"", 200, fields)
    assert Edge((), [HSTS(b"max-age=1")]).dress(Request("GET", "/", ()), response) is response


def test_a_guarded_application_is_called_or_begun() -> None:
    class Hosted:
        def begin(self, request: Request, carrier: object) -> object:
            return carrier

        def descriptors(self, limits: object) -> int:
            return 3

    edge, request, carrier = Edge([Check()]), Request("GET", "/", ()), Carrier()
    assert Guarded(Hosted(), edge).begin(request, carrier) is carrier
    assert request.edge is edge
    assert Guarded(Hosted(), edge).descriptors({}) == 3
    assert Guarded(application, edge).descriptors({}) == 0
    with pytest.raises(TypeError, match="begun"):
        Guarded(Hosted(), edge)(request)


def test_an_edge_without_anything_is_empty() -> None:
    assert Edge().is_empty
    assert not Edge([Check()]).is_empty
    assert not Edge(gate=Gate()).is_empty


def test_what_is_replaced_is_replaced_whatever_its_case() -> None:
    assert replaced(((b"A", b"1"), (b"b", b"2")), ((b"a", b"3"),)) == ((b"b", b"2"), (b"a", b"3"))
