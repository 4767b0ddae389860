"""Templates, methods, percent-decoding, mounts, and what is refused at registration."""

import inspect
import re
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from clerestory.handlers.api.errors import HTTPError
from clerestory.handlers.api.messages import Answer, Request, Response, text_response
from clerestory.handlers.router import Router
from clerestory.handlers.websocket.socket import WebSocket
from clerestory.server.http.gate import normalise_target


def request(method: str, target: str, content_length: int | None = 0, body_limit: int = 100) -> Request:
    return Request(method, target, (), content_length=content_length, body_limit=body_limit)


def answer(router: Router, method: str, target: str, content_length: int | None = 0) -> Response:
    response = router(request(method, target, content_length))
    assert isinstance(response, Response)
    return response


def refusal(router: Router, method: str, target: str, content_length: int | None = 0) -> HTTPError:
    with pytest.raises(HTTPError) as caught:
        router(request(method, target, content_length))
    return caught.value


def saying(text: str) -> Callable[..., Response]:
    """A handler that answers `text` and the parameters it was given."""

    def handler(request: Request, **parameters: Any) -> Response:
        return text_response(text + "".join(f" {name}={value!r}" for name, value in parameters.items()))

    return handler


def table(*routes: str) -> Router:
    """A router whose handlers answer their own route: `GET /emails/{id:int}`."""
    router = Router()
    for route in routes:
        method, path = route.split(" ")
        router.route(path, [method])(saying(route))
    return router


ROUTES = (
    "GET /",
    "GET /emails",
    "POST /emails",
    "GET /emails/new",
    "GET /emails/{id:int}",
    "DELETE /emails/{id:int}",
    "GET /emails/{name}",
    "PUT /emails/{name}/parts/{part:uuid}",
    "GET /tree/{rest:path}",
    "GET /straße",
)


@pytest.mark.parametrize(
    ("method", "target", "expected"),
    [
        ("GET", "/", "GET /"),
        ("GET", "/emails", "GET /emails"),
        ("GET", "/emails?limit=3", "GET /emails"),
        ("GET", "http://a.example/emails?x", "GET /emails"),
        ("POST", "/emails", "POST /emails"),
        ("HEAD", "/emails", "GET /emails"),
        ("GET", "/%65mails", "GET /emails"),
        ("GET", "/emails/new", "GET /emails/new"),
        ("GET", "/emails/7", "GET /emails/{id:int} id=7"),
        ("HEAD", "/emails/7", "GET /emails/{id:int} id=7"),
        ("DELETE", "/emails/7", "DELETE /emails/{id:int} id=7"),
        ("GET", "/emails/%37", "GET /emails/{id:int} id=7"),
        ("GET", "/emails/0", "GET /emails/{id:int} id=0"),
        ("GET", "/emails/9223372036854775807", "GET /emails/{id:int} id=9223372036854775807"),
        ("GET", "/emails/9223372036854775808", "GET /emails/{name} name='9223372036854775808'"),
        ("GET", "/emails/07", "GET /emails/{name} name='07'"),
        ("GET", "/emails/-7", "GET /emails/{name} name='-7'"),
        ("GET", "/emails/+7", "GET /emails/{name} name='+7'"),
        ("GET", "/emails/1_0", "GET /emails/{name} name='1_0'"),
        ("GET", "/emails/%D9%A7", "GET /emails/{name} name='\u0667'"),  # a digit, but not an ASCII one
        ("GET", "/emails/a%2Fb", "GET /emails/{name} name='a/b'"),
        ("GET", "/emails/a%252Fb", "GET /emails/{name} name='a%2Fb'"),
        ("GET", "/emails/a+b", "GET /emails/{name} name='a+b'"),
        ("GET", "/stra%C3%9Fe", "GET /straße"),
        ("GET", "/tree/", "GET /tree/{rest:path} rest=''"),
        ("GET", "/tree/a", "GET /tree/{rest:path} rest='a'"),
        ("GET", "/tree/a//b/", "GET /tree/{rest:path} rest='a//b/'"),
    ],
)
def test_a_path_reaches_its_handler(method: str, target: str, expected: str) -> None:
    assert answer(table(*ROUTES), method, target).body == expected.encode()


def test_a_uuid_parameter_is_a_uuid() -> None:
    text = "0189f7ea-ae2c-7b6d-8b1a-0123456789ab"
    body = answer(table(*ROUTES), "PUT", f"/emails/x/parts/{text}").body
    assert body == f"PUT /emails/{{name}}/parts/{{part:uuid}} name='x' part={uuid.UUID(text)!r}".encode()


@pytest.mark.parametrize(
    "target",
    [
        "/nothing",
        "/emails/",
        "//emails",
        "/emails%2F",
        "/emails%2Fnew",
        "/emails/7/",
        "/tree",
        "/tree/a%2Fb",
        "/emails/x/parts/0189f7eaae2c7b6d8b1a0123456789ab",
        "/emails/x/parts/{0189f7ea-ae2c-7b6d-8b1a-0123456789ab}",
        "/EMAILS",
        "/emails/../emails",
    ],
)
def test_a_path_without_a_template_is_404(target: str) -> None:
    error = refusal(table(*ROUTES), "GET", target)
    assert (error.status, error.detail, error.fields) == (404, "There is nothing at this path.", ())


@pytest.mark.parametrize(
    ("method", "target", "allow"),
    [
        ("DELETE", "/", b"GET, HEAD, OPTIONS"),
        ("DELETE", "/emails", b"GET, HEAD, OPTIONS, POST"),
        ("POST", "/emails/7", b"DELETE, GET, HEAD, OPTIONS"),
        ("POST", "/emails/seven", b"GET, HEAD, OPTIONS"),
        ("POST", "/tree/x", b"GET, HEAD, OPTIONS"),
        ("PATCH", "/emails/7", b"DELETE, GET, HEAD, OPTIONS"),
        ("TRACE", "/", b"GET, HEAD, OPTIONS"),
        ("PROPFIND", "/emails", b"GET, HEAD, OPTIONS, POST"),
    ],
)
def test_a_known_method_of_another_route_is_405_with_allow(method: str, target: str, allow: bytes) -> None:
    """RFC 9110 section 15.5.6: whether a route has the method, or only HTTP's registry."""
    error = refusal(table(*ROUTES), method, target)
    use = " or ".join(allow.decode().rsplit(", ", 1))
    assert (error.status, error.detail) == (405, f"{method} is not allowed here; use {use}.")
    assert error.fields == ((b"allow", allow),)


def test_allow_is_the_union_of_every_template_that_matches() -> None:
    router = table("GET /a/{x}", "PUT /a/{y:int}", "POST /a/7", "PATCH /b")
    assert refusal(router, "PATCH", "/a/7").fields == ((b"allow", b"GET, HEAD, OPTIONS, POST, PUT"),)
    assert answer(router, "PUT", "/a/7").body == b"PUT /a/{y:int} y=7"
    assert answer(router, "GET", "/a/7").body == b"GET /a/{x} x='7'"


@pytest.mark.parametrize("target", ["/", "/nothing"])
@pytest.mark.parametrize("method", ["BREW", "get", "PRI"])
def test_a_method_that_nobody_knows_is_501(method: str, target: str) -> None:
    error = refusal(table(*ROUTES), method, target)
    assert (error.status, error.detail) == (501, f"{method} is not supported.")


def test_a_known_method_where_there_is_nothing_is_404_as_any_other() -> None:
    assert refusal(table(*ROUTES), "PATCH", "/nothing").status == 404


def test_what_a_browser_leaves_bare_in_a_path_reaches_a_parameter_decoded() -> None:
    """The reader hands over `/a|b` as `/a%7Cb`, and `/100%` as `/100%25`: a segment is decoded once."""
    router = table("GET /tags/{tag}")
    for sent, tag in ((b"/tags/a|b", "a|b"), (b"/tags/100%", "100%"), (b"/tags/{x}", "{x}"), (b"/tags/%25%34", "%4")):
        assert answer(router, "GET", normalise_target(sent).decode()).body == f"GET /tags/{{tag}} tag={tag!r}".encode()


@pytest.mark.parametrize(
    ("target", "allow"),
    [
        ("/emails", b"GET, HEAD, OPTIONS, POST"),
        ("/emails/7", b"DELETE, GET, HEAD, OPTIONS"),
        ("/%65mails", b"GET, HEAD, OPTIONS, POST"),
        ("*", b"DELETE, GET, HEAD, OPTIONS, POST, PUT"),
    ],
)
def test_options_is_answered_with_allow(target: str, allow: bytes) -> None:
    response = answer(table(*ROUTES), "OPTIONS", target)
    assert (response.status, response.body, response.fields) == (204, b"", ((b"allow", allow),))


def test_options_of_nothing_is_404() -> None:
    assert refusal(table(*ROUTES), "OPTIONS", "/nothing").status == 404


def test_a_routes_own_head_and_options_win() -> None:
    for order in (("GET", "HEAD", "OPTIONS"), ("OPTIONS", "HEAD", "GET")):
        router = table(*(f"{method} /x" for method in order))
        for method in order:
            assert answer(router, method, "/x").body == f"{method} /x".encode()


@pytest.mark.parametrize(
    ("target", "detail"),
    [
        ("/emails/%", "The path has a % that is not followed by two hexadecimal digits."),
        ("/emails/%4", "The path has a % that is not followed by two hexadecimal digits."),
        ("/emails/%zz", "The path has a % that is not followed by two hexadecimal digits."),
        ("/emails/a%00", "The path's name must be UTF-8 text without control characters."),
        ("/emails/a%0D%0Ab", "The path's name must be UTF-8 text without control characters."),
        ("/emails/%7F", "The path's name must be UTF-8 text without control characters."),
        ("/emails/%ff", "The path's name must be UTF-8 text without control characters."),
        ("/emails/%ED%A0%80", "The path's name must be UTF-8 text without control characters."),
        ("/emails/%C0%AF", "The path's name must be UTF-8 text without control characters."),
        ("/tree/a/%ff", "The path's rest must be UTF-8 text without control characters."),
    ],
)
def test_a_path_that_is_not_text_is_400(target: str, detail: str) -> None:
    error = refusal(table(*ROUTES), "GET", target)
    assert (error.status, error.detail) == (400, detail)


def test_an_async_handler_hands_back_its_coroutine() -> None:
    router = Router()

    @router.get("/x/{name}")
    async def show(request: Request, name: str) -> Response:
        return text_response(name)

    coroutine = router(request("GET", "/x/y"))
    assert not isinstance(coroutine, Response)
    with pytest.raises(StopIteration) as stopped:
        coroutine.send(None)
    assert stopped.value.value.body == b"y"


@pytest.mark.parametrize("path", ["/up", "/up/{name}"])
@pytest.mark.parametrize("max_body", [None, 10, 1000])
def test_a_body_as_long_as_the_limit_passes_and_one_byte_more_is_413(path: str, max_body: int | None) -> None:
    router = Router()
    seen: list[int] = []

    @router.post(path, max_body=max_body)
    def take(request: Request, name: str = "") -> Response:
        seen.append(request.body_limit)
        return Response()

    limit = 100 if max_body is None else max_body
    target = path.replace("{name}", "x")
    for content_length in (0, limit, None):
        router(request("POST", target, content_length))
    assert seen[1:] == [limit, limit]
    error = refusal(router, "POST", target, limit + 1)
    assert (error.status, error.detail) == (413, f"The body may have at most {limit} bytes here.")
    assert len(seen) == 3


class TestMounts:
    @pytest.fixture
    def router(self) -> Router:
        router = table("GET /", "GET /files/readme", "POST /emails")
        for prefix in ("/files/", "/files/deep", "/a b"):
            router.mount(prefix, self.application(prefix))
        return router

    @staticmethod
    def application(prefix: str) -> Callable[[Request], Answer]:
        def show(request: Request) -> Response:
            return text_response(f"{prefix}: {request.method} {request.base} {request.path} {request.query}")

        return show

    @pytest.mark.parametrize(
        ("method", "target", "expected"),
        [
            ("GET", "/files/", "/files/: GET /files / "),
            ("GET", "/files/a/b?c", "/files/: GET /files /a/b c"),
            ("BREW", "/files/a", "/files/: BREW /files /a "),
            ("GET", "/%66iles/a%2Fb", "/files/: GET /files /a%2Fb "),
            ("GET", "/files/%ff", "/files/: GET /files /%ff "),
            ("GET", "/files//x", "/files/: GET /files //x "),
            ("GET", "/files/readme", "GET /files/readme"),
            ("GET", "/files/deep/x", "/files/deep: GET /files/deep /x "),
            ("GET", "/files/deeper", "/files/: GET /files /deeper "),
            ("GET", "/a%20b/c", "/a b: GET /a%20b /c "),
        ],
    )
    def test_it_sees_the_path_beneath_its_prefix(self, router: Router, method: str, target: str, expected: str) -> None:
        assert answer(router, method, target).body == expected.encode()

    @pytest.mark.parametrize(
        ("method", "target", "status", "location"),
        [
            ("GET", "/files?x=1", 301, b"/files/?x=1"),
            ("HEAD", "/files/deep", 301, b"/files/deep/"),
            ("POST", "/a%20b", 308, b"/a%20b/"),
        ],
    )
    def test_the_prefix_without_its_slash_is_redirected(
        self, router: Router, method: str, target: str, status: int, location: bytes
    ) -> None:
        response = answer(router, method, target)
        assert (response.status, response.fields) == (status, ((b"location", location),))

    def test_a_route_of_the_router_is_not_hidden_by_a_mount(self, router: Router) -> None:
        assert refusal(router, "POST", "/files/readme").fields == ((b"allow", b"GET, HEAD, OPTIONS"),)

    def test_a_router_mounted_in_a_router_brings_its_methods(self) -> None:
        outer, middle = table("GET /"), Router()
        middle.mount("/two", table("PUT /x"))
        outer.mount("/one", middle)
        assert answer(outer, "PUT", "/one/two/x").body == b"PUT /x"
        assert answer(outer, "GET", "/one/two").fields == ((b"location", b"/one/two/"),)
        assert refusal(outer, "PUT", "/").status == 405
        assert refusal(outer, "PUT", "/one/none").status == 404

    def test_the_root_can_be_mounted_beneath_all_routes(self) -> None:
        router = table("GET /here")
        router.mount("/", self.application("/"))
        assert answer(router, "GET", "/here").body == b"GET /here"
        assert answer(router, "GET", "/a/b").body == b"/: GET  /a/b "

    @pytest.mark.parametrize(
        ("prefix", "message"),
        [
            ("/files", "mount '/files' is already registered"),
            ("/x/{y}", "mount '/x/{y}': a prefix has no parameters"),
            ("x/", "route 'x' does not begin with a slash"),
        ],
    )
    def test_a_wrong_prefix_is_refused(self, router: Router, prefix: str, message: str) -> None:
        with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
            router.mount(prefix, self.application(""))


@pytest.mark.parametrize(
    ("path", "methods", "message"),
    [
        ("emails", ["GET"], "route 'emails' does not begin with a slash"),
        ("", ["GET"], "route '' does not begin with a slash"),
        ("/a%20b", ["GET"], "route '/a%20b': a template is a decoded path, without % ? # and control characters"),
        ("/a?b", ["GET"], "route '/a?b': a template is a decoded path, without % ? # and control characters"),
        ("/a\n", ["GET"], r"route '/a\n': a template is a decoded path, without % ? # and control characters"),
        ("/x{y}", ["GET"], "route '/x{y}': 'x{y}' is not a parameter; a parameter is a whole segment, {name:kind}"),
        ("/{y", ["GET"], "route '/{y': '{y' is not a parameter; a parameter is a whole segment, {name:kind}"),
        ("/{1}", ["GET"], "route '/{1}': '{1}' is not a parameter; a parameter is a whole segment, {name:kind}"),
        ("/{y:float}", ["GET"], "route '/{y:float}': unknown converter 'float'; use one of str, int, uuid, path"),
        ("/{y}/{y}", ["GET"], "route '/{y}/{y}' has the parameter 'y' twice"),
        (
            "/{y:path}/z",
            ["GET"],
            "route '/{y:path}/z': a path parameter takes the rest of the path, so it must be the last",
        ),
        ("/there", ["GET"], "route GET /there is already registered"),
        ("/there/{n:int}", ["GET"], "route GET /there/{n:int} is already registered"),
        (
            "/there/{m:int}",
            ["PUT"],
            "route '/there/{m:int}' and an earlier route match the same paths with other parameter names",
        ),
        ("/x", [], "route '/x' has no method"),
        ("/x", ["get"], "route '/x': 'get' is not a method; methods are upper-case tokens"),
        ("/x", ["GE T"], "route '/x': 'GE T' is not a method; methods are upper-case tokens"),
    ],
)
def test_a_wrong_route_is_refused_when_it_is_registered(path: str, methods: list[str], message: str) -> None:
    router = table("GET /there", "GET /there/{n:int}")
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        router.route(path, methods)(saying(""))


def test_a_negative_limit_is_refused() -> None:
    with pytest.raises(ValueError, match="max_body is -1"):
        Router().post("/x", max_body=-1)


def test_a_function_that_cannot_take_the_parameters_is_refused() -> None:
    def plain(request: Request) -> Response:
        return Response()

    def two(request: Request, number: int, other: bytes) -> Response:
        return Response()

    def none() -> Response:
        return Response()

    for path, handler, message in (
        (
            "/{number:int}",
            plain,
            "plain cannot be called with (request, number): got an unexpected keyword argument 'number'",
        ),
        (
            "/{number:int}",
            two,
            "two cannot be called with (request, number): missing a required argument: 'other'; "
            "a query parameter is annotated int, float, bool, str, UUID or a list of these",
        ),
        ("/", none, "none cannot be called with (request): too many positional arguments"),
    ):
        with pytest.raises(TypeError) as caught:
            Router().get(path)(handler)
        assert str(caught.value) == f"route {path!r}: {message}"


def test_every_method_has_its_decorator_and_hands_the_function_back() -> None:
    router = Router()
    handler = saying("x")
    for decorator in (router.get, router.post, router.put, router.patch, router.delete):
        assert decorator("/x")(handler) is handler
    assert answer(router, "OPTIONS", "/x").fields == ((b"allow", b"DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"),)


def test_query_parameters_are_found_at_registration_and_cost_other_routes_nothing() -> None:
    router = Router()

    @router.get("/plain")
    def plain(request: Request) -> Response:
        return text_response("plain")

    @router.get("/items/{name}", backend_timeout=3.0)
    def item(request: Request, name: str, page: int = 1) -> Response:
        assert request.limits is not None
        return text_response(f"{name} {page}")

    assert router._constant["/plain"]["GET"].handler is plain
    assert answer(router, "GET", "/plain?page=x").body == b"plain"
    assert answer(router, "GET", "/items/tea?page=2&name=milk").body == b"tea 2"
    assert refusal(router, "GET", "/items/tea?page=x").status == 400


def test_connect_reaches_a_route_for_websockets_and_is_not_listed_among_methods() -> None:
    router = Router()

    @router.websocket("/talk")
    async def talk(socket: WebSocket) -> None:
        raise NotImplementedError

    router.get("/")(lambda request: Response())
    request = Request("CONNECT", "/talk", (), 2)
    request.protocol = "websocket"
    answer = router(request)
    assert inspect.iscoroutine(answer)
    answer.close()
    assert "CONNECT" not in router.methods
    for path, allow in (("/talk", b"GET, OPTIONS"), ("/", b"GET, HEAD, OPTIONS")):
        with pytest.raises(HTTPError) as error:
            router(Request("PATCH", path, ()))
        assert (error.value.status, error.value.fields) == (405, ((b"allow", allow),))
    with pytest.raises(HTTPError, match="CONNECT is not allowed here"):
        router(Request("CONNECT", "/", ()))
