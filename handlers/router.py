"""Which handler answers which request: a table of path templates and methods.

    router = Router()

    @router.get("/emails/{id:int}")
    async def show(request: Request, id: int) -> Response: ...

The laws:

- a template is a decoded path; the request's path is split at its slashes first and then each segment is
  percent-decoded, once, so that an encoded slash is never a separator (RFC 3986 section 2.2);
- a constant path wins over parameters, parameters over mounts; among parameters the first one registered wins, among
  mounts the longest prefix; a path is not normalised: `/emails/` and `/emails//7` are different paths;
- no template matches: 404; one does, but not with this method: 405 with Allow; a method that no route of the router has
  and that is not registered with IANA: 501 (RFC 9110 sections 15.5.5, 15.5.6 and 15.6.2);
- HEAD is answered by the GET handler and OPTIONS by the router, unless the template has its own;
- a wrong route is an error when it is registered, not when it is requested.

A constant path costs two dict look-ups; a path with parameters is compared with all templates of as many segments.

Deliberately not here: reversing, hosts, redirects to a path with or without its last slash.
"""

import re
from collections.abc import Callable, Coroutine, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple, TypeVar, Unpack
from urllib.parse import quote, unquote_to_bytes

from mypy_extensions import mypyc_attr

from clerestory.handlers.api.around import Around, Inner, check
from clerestory.handlers.api.errors import HTTPError
from clerestory.handlers.api.messages import Answer, Application, Plain, Request, Response
from clerestory.handlers.api.methods import REGISTERED, allow, not_allowed, not_supported
from clerestory.handlers.api.query import queried
from clerestory.handlers.api.route_limits import Limited, Terms, limits_of
from clerestory.handlers.api.templates import CONVERTERS, NOT_TEXT, Parameter, parse_template
from clerestory.handlers.websocket.route import Conversing, Fork

Handler = Callable[..., Any]
K = TypeVar("K", bound=Callable[[], Any])
A = TypeVar("A", bound=Around)
C = TypeVar("C", bound=Callable[..., Coroutine[Any, Any, Any]])
H = TypeVar("H", bound=Callable[..., Plain | Coroutine[Any, Any, Plain]])

_STRAY_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_METHOD = re.compile(r"[A-Z][A-Z0-9_-]*")
_KIND = re.compile(r":[A-Za-z_][A-Za-z0-9_]*\}")


WEBSOCKET = "websocket"
"""Under what a route for WebSockets is registered, which are asked for by GET. No method is in lower case."""
CONNECT = "CONNECT"
"""By which they are asked for in HTTP/2 (RFC 8441). It is not listed among a path's methods: there is no other."""
UNMATCHED = "(no route)"
"""`Request.route` of what no route has matched: what scanners ask for is counted together."""


class Endpoint(NamedTuple):
    """One handler, and its limit for the request body (None: the server's)."""

    handler: Handler
    max_body: int | None


@dataclass(slots=True)
class Resource:
    """One template and its handlers, by method. `path` is the template without the kinds of its parameters, `explicit`
    are the registered methods; `endpoints` also has HEAD."""

    segments: tuple[str | Parameter, ...]
    path: str
    endpoints: dict[str, Endpoint] = field(default_factory=dict)
    explicit: set[str] = field(default_factory=set)
    fork: Fork = field(default_factory=Fork)
    max_body: int | None = None

    def add(self, method: str, endpoint: Endpoint) -> None:
        self.explicit.add(method)
        self.endpoints["GET" if method == WEBSOCKET else method] = endpoint
        # RFC 9110 section 9.3.2: HEAD is GET without its content; the server leaves the content out.
        if method == "GET" and "HEAD" not in self.explicit:
            self.endpoints["HEAD"] = endpoint
        if method == WEBSOCKET:
            self.fork.talks = endpoint.handler
            self.endpoints[CONNECT] = endpoint
        elif method == "GET":
            self.fork.plain, self.max_body = endpoint.handler, endpoint.max_body
        if self.fork.talks is not None:
            self.endpoints["GET"] = Endpoint(self.fork, self.max_body)

    def match(self, segments: list[str]) -> dict[str, Any] | None:
        """The parameters that `segments` give, or None when they do not match."""
        parameters: dict[str, Any] = {}
        for position, part in enumerate(self.segments):
            segment = segments[position]
            if isinstance(part, str):
                if part != segment:
                    return None
                continue
            if part.kind == "path":
                rest = segments[position:]
                if any("/" in one for one in rest):
                    return None  # joined, an encoded slash would look like a separator
                segment = "/".join(rest)
            value = CONVERTERS[part.kind](segment)
            if value is None:
                return None
            parameters[part.name] = value
        return parameters


class Mount(NamedTuple):
    """An application under a prefix: it sees `path` without the prefix, and the prefix in `base`."""

    segments: list[str]
    prefix: str
    application: Application


@mypyc_attr(allow_interpreted_subclasses=True)
class Router:
    """A table of routes; itself an application, so a router can be mounted in a router."""

    def __init__(self) -> None:
        self._constant: dict[str, dict[str, Endpoint]] = {}
        self._resources: dict[tuple[str | Parameter, ...], Resource] = {}
        self._by_length: dict[int, list[Resource]] = {}
        self._open_ended: list[Resource] = []
        self._mounts: list[Mount] = []
        self._arounds: list[Around] = []
        self.methods: set[str] = {"OPTIONS"}
        self.start_hooks: list[Callable[[], Any]] = []
        self.stop_hooks: list[Callable[[], Any]] = []

    def __call__(self, request: Request) -> Answer:
        """Answer `request`. Raises HTTPError 400, 404, 405, 413 or 501."""
        if self._arounds:
            return Inner(request, self._arounds, 0, self._begin(request))()
        endpoints = self._constant.get(request.path)
        if endpoints is not None:
            endpoint = endpoints.get(request.method)
            if endpoint is not None:
                request.handler = endpoint.handler
                return endpoint.handler(request) if request.body_ended else _bound(endpoint, request, {})()
        return self._search(request)()

    def _begin(self, request: Request) -> Callable[[], Answer]:
        """What answers `request`, or raises what is wrong with it."""
        try:
            return self._search(request)
        except HTTPError as error:
            return partial(_raise, error)

    def route(
        self, path: str, methods: Iterable[str] = ("GET",), max_body: int | None = None, **terms: Unpack[Terms]
    ) -> Callable[[H], H]:
        """Register the decorated function for `path` and `methods`; `max_body` bytes instead of the server's limit, and
        `backend_timeout`, `handler_total` and `half_close` instead of its deadlines
        (handlers.api.messages.RouteLimits).

        Raises ValueError for a template or method that is malformed or already registered, TypeError for a function
        that cannot be called with the template's parameters. Its other parameters are query parameters
        (handlers.api.query).
        """
        segments = parse_template(path)
        names = [methods] if isinstance(methods, str) else list(methods)
        if not names:
            raise ValueError(f"route {path!r} has no method")
        if max_body is not None and max_body < 0:
            raise ValueError(f"route {path!r}: max_body is {max_body}")
        limits = limits_of(path, terms)

        def register(handler: H) -> H:
            called = queried(path, [part.name for part in segments if isinstance(part, Parameter)], handler)
            if limits is not None:
                called = Limited(called, limits)
            for method in names:
                self._add(path, segments, method, Endpoint(called, max_body))
            return handler

        return register

    def get(self, path: str, max_body: int | None = None, **terms: Unpack[Terms]) -> Callable[[H], H]:
        """Register the decorated function for GET, and for HEAD unless HEAD has a handler of its own."""
        return self.route(path, ("GET",), max_body, **terms)

    def post(self, path: str, max_body: int | None = None, **terms: Unpack[Terms]) -> Callable[[H], H]:
        """Register the decorated function for POST."""
        return self.route(path, ("POST",), max_body, **terms)

    def put(self, path: str, max_body: int | None = None, **terms: Unpack[Terms]) -> Callable[[H], H]:
        """Register the decorated function for PUT."""
        return self.route(path, ("PUT",), max_body, **terms)

    def patch(self, path: str, max_body: int | None = None, **terms: Unpack[Terms]) -> Callable[[H], H]:
        """Register the decorated function for PATCH."""
        return self.route(path, ("PATCH",), max_body, **terms)

    def delete(self, path: str, max_body: int | None = None, **terms: Unpack[Terms]) -> Callable[[H], H]:
        """Register the decorated function for DELETE."""
        return self.route(path, ("DELETE",), max_body, **terms)

    def websocket(self, path: str, **terms: Unpack[Terms]) -> Callable[[C], C]:
        """Register the decorated coroutine function for WebSockets at `path`; beside it there may be a handler for GET.
        It takes a handlers.websocket.socket.WebSocket, and parameters as other handlers do.

        Raises as `route`, and ImportError where the extra `websocket` is not installed.
        """
        segments = parse_template(path)
        limits = limits_of(path, terms)

        def register(handler: C) -> C:
            names = [part.name for part in segments if isinstance(part, Parameter)]
            called = queried(path, names, Conversing(path, handler))
            self._add(path, segments, WEBSOCKET, Endpoint(called if limits is None else Limited(called, limits), None))
            return handler

        return register

    def on_start(self, hook: K) -> K:
        """Call the decorated function before anybody listens; a coroutine may await operations. If it raises, the
        process does not serve."""
        self.start_hooks.append(hook)
        return hook

    def on_stop(self, hook: K) -> K:
        """Call the decorated function when the last request has ended; a coroutine may await operations."""
        self.stop_hooks.append(hook)
        return hook

    def around(self, function: A) -> A:
        """Call the decorated coroutine function with each request, and with what handles it: `handle()` returns the
        response (handlers.api.around). It surrounds all routes and mounts of this router, registered before or after.

        Raises TypeError for a function that cannot be called so.
        """
        check(function)
        self._arounds.append(function)
        return function

    @property
    def takes_websockets(self) -> bool:
        """Whether one of its routes is for WebSockets."""
        return any(resource.fork.talks is not None for resource in self._resources.values())

    @property
    def applications(self) -> list[Application]:
        """What is mounted."""
        return [mount.application for mount in self._mounts]

    def mount(self, prefix: str, application: Application, **terms: Unpack[Terms]) -> None:
        """Pass every request beneath `prefix`, with any method, to `application`; deadlines as for a route. Raises
        ValueError."""
        segments = parse_template(prefix.rstrip("/") or "/")
        if not all(isinstance(part, str) for part in segments):
            raise ValueError(f"mount {prefix!r}: a prefix has no parameters")
        constant = [str(part) for part in segments if part]
        if any(mount.segments[1:] == constant for mount in self._mounts):
            raise ValueError(f"mount {prefix!r} is already registered")
        path = "".join("/" + quote(part, safe="") for part in constant)
        limits = limits_of(prefix, terms)
        called = application if limits is None else Limited(application, limits)
        self._mounts.append(Mount(["", *constant], path, called))
        self._mounts.sort(key=lambda mount: -len(mount.segments))
        # A mounted router or directory lists its methods; other applications do not.
        self.methods.update(getattr(application, "methods", ()))

    def _add(self, path: str, segments: tuple[str | Parameter, ...], method: str, endpoint: Endpoint) -> None:
        if method != WEBSOCKET and not _METHOD.fullmatch(method):
            raise ValueError(f"route {path!r}: {method!r} is not a method; methods are upper-case tokens")
        # Two templates that differ only in their parameters' names match the same paths.
        key = tuple(part if isinstance(part, str) else Parameter("", part.kind) for part in segments)
        resource = self._resources.get(key)
        if resource is None:
            resource = self._resources[key] = Resource(segments, _KIND.sub("}", path))
            self._index(path, resource)
        elif resource.segments != segments:
            raise ValueError(f"route {path!r} and an earlier route match the same paths with other parameter names")
        if method in resource.explicit:
            raise ValueError(f"route {method} {path} is already registered")
        resource.add(method, endpoint)
        self.methods.update(resource.endpoints.keys() - {CONNECT})

    def _index(self, path: str, resource: Resource) -> None:
        last = resource.segments[-1]
        if all(isinstance(part, str) for part in resource.segments):
            self._constant[path] = resource.endpoints
        elif isinstance(last, Parameter) and last.kind == "path":
            self._open_ended.append(resource)
        else:
            self._by_length.setdefault(len(resource.segments), []).append(resource)

    def _search(self, request: Request) -> Callable[[], Answer]:
        """What answers `request`. Raises HTTPError where it is not acceptable."""
        method = request.method
        if request.path == "*":  # RFC 9110 section 9.3.7: about the server as a whole
            return partial(_options, self.methods)
        raw = request.path.split("/")
        segments = _decode(raw) if "%" in request.path else raw
        allowed: set[str] = set()
        for endpoints, parameters, path in self._matches(segments):
            endpoint = endpoints.get(method)
            if endpoint is not None:
                request.route = request.base + path
                return _bound(endpoint, request, parameters)
            allowed.update(endpoints)
        allowed.discard(CONNECT)
        if not allowed:
            mount = self._mount(segments)
            if mount is not None:
                return partial(_enter, mount, request, raw)
        return self._refuse(request, allowed)

    def _matches(self, segments: list[str]) -> Iterator[tuple[dict[str, Endpoint], dict[str, Any], str]]:
        path = "/".join(segments)
        constant = self._constant.get(path)
        if constant is not None and not any("/" in segment for segment in segments):
            yield constant, {}, path
        for resource in self._by_length.get(len(segments), ()):
            parameters = resource.match(segments)
            if parameters is not None:
                yield resource.endpoints, parameters, resource.path
        for resource in self._open_ended:
            if len(segments) >= len(resource.segments):
                parameters = resource.match(segments)
                if parameters is not None:
                    yield resource.endpoints, parameters, resource.path

    def _mount(self, segments: list[str]) -> Mount | None:
        for mount in self._mounts:
            if segments[: len(mount.segments)] == mount.segments:
                return mount
        return None

    def _refuse(self, request: Request, allowed: set[str]) -> Callable[[], Answer]:
        """What answers OPTIONS; raise for the rest."""
        method = request.method
        request.route = UNMATCHED
        if method not in self.methods and method not in REGISTERED:
            raise not_supported(method)
        if not allowed:
            # RFC 9110 section 15.5.5
            raise HTTPError(404, "There is nothing at this path.")
        if method == "OPTIONS":
            return partial(_options, allowed)
        raise not_allowed(method, allowed)


def _decode(raw: list[str]) -> list[str]:
    """Each segment percent-decoded, once; bytes that are not UTF-8 as surrogates. Raises HTTPError 400."""
    if any(_STRAY_PERCENT.search(segment) for segment in raw):
        # RFC 3986 section 2.1
        raise HTTPError(400, "The path has a % that is not followed by two hexadecimal digits.")
    return [unquote_to_bytes(segment).decode("utf-8", "surrogateescape") for segment in raw]


def _bound(endpoint: Endpoint, request: Request, parameters: dict[str, Any]) -> Callable[[], Answer]:
    """The call of the handler, unless a parameter or the body's length is not acceptable."""
    for name, value in parameters.items():
        if isinstance(value, str) and NOT_TEXT.search(value):
            raise HTTPError(400, f"The path's {name} must be UTF-8 text without control characters.")
    if not request.body_ended:
        if endpoint.max_body is not None:
            request.body_limit = endpoint.max_body
        # RFC 9110 section 15.5.14: before the client has sent it, if the length is known.
        if request.content_length is not None and request.content_length > request.body_limit:
            raise HTTPError(413, f"The body may have at most {request.body_limit} bytes here.")
    request.handler = endpoint.handler
    return partial(endpoint.handler, request, **parameters)  # it returns what handlers.api.answers makes a Response of


def _raise(error: HTTPError) -> Answer:
    raise error


def _enter(mount: Mount, request: Request, raw: list[str]) -> Answer:
    """Pass `request` to the mounted application: its path is the part after the prefix, still percent-encoded."""
    rest = raw[len(mount.segments) :]
    if not rest and mount.prefix:
        # The prefix without its slash: relative references in the response would be wrong (RFC 9110 section 15.4.2).
        query = f"?{request.query}" if request.query else ""
        location = f"{request.base}{mount.prefix}/{query}"
        status = 301 if request.method in ("GET", "HEAD") else 308  # 301 would turn POST into GET
        return Response(status=status, fields=((b"location", location.encode("ascii", "replace")),))
    request.base += mount.prefix
    request.path = "/" + "/".join(rest)
    return mount.application(request)


def _options(methods: set[str]) -> Response:
    # RFC 9110 section 9.3.7
    return Response(status=204, fields=(allow(methods),))
