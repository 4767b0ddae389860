"""Which handler answers which request: a table of path templates and methods.

    router = Router()

    @router.get("/emails/{id:int}")
    async def show(request: Request, id: int) -> Response: ...

The laws:

- a template is written decoded; the request's path is split at its slashes first and then each segment is
  percent-decoded, once, so that an encoded slash never separates (RFC 3986 section 2.2);
- a constant path wins over parameters, parameters over mounts; among parameters the first one registered wins, among
  mounts the longest prefix; a path is not normalised: `/emails/` and `/emails//7` are paths of their own;
- no template matches: 404; one does, but not with this method: 405 with Allow; and where no route of the router has
  the method at all: 501 (RFC 9110 sections 15.5.5, 15.5.6 and 15.6.2);
- HEAD is answered by the GET handler and OPTIONS by the router, unless the template has its own;
- what is wrong with a route is said when it is registered, not when it is asked for.

A constant path costs two dict look-ups; a path with parameters a walk over the templates with as many segments.

Deliberately not here: reversing, middleware, hosts, redirects to a path with or without its last slash.
"""

import inspect
import re
import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar
from urllib.parse import quote, unquote_to_bytes

from mypy_extensions import mypyc_attr

from handlers.errors import HTTPError
from handlers.messages import Answer, Application, Request, Response

Handler = Callable[..., Answer]
H = TypeVar("H", bound=Handler)

_STRAY_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_NOT_TEXT = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")  # control characters, and bytes that are not UTF-8
_METHOD = re.compile(r"[A-Z][A-Z0-9_-]*")
_PARAMETER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)(?::([A-Za-z_][A-Za-z0-9_]*))?\}")
_INTEGER = re.compile(r"0|[1-9][0-9]{0,18}")
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def _text(segment: str) -> str | None:
    """A segment that is not empty."""
    return segment or None


def _integer(segment: str) -> int | None:
    """ASCII digits without sign or leading zero, below 2**63, which every database's integer can hold."""
    if _INTEGER.fullmatch(segment) and (value := int(segment)) < 1 << 63:
        return value
    return None


def _uuid(segment: str) -> uuid.UUID | None:
    """Eight-four-four-four-twelve hexadecimal digits, the only form that RFC 9562 section 4 writes."""
    return uuid.UUID(segment) if _UUID.fullmatch(segment) else None


CONVERTERS: dict[str, Callable[[str], Any]] = {"str": _text, "int": _integer, "uuid": _uuid, "path": str}
"""What a parameter may be. A converter hands back None where the segment is no such thing: the template then does not
match. `path` takes all the rest of the path, slashes included; the others take one segment."""


class Parameter(NamedTuple):
    """One `{name:kind}` of a template."""

    name: str
    kind: str


class Endpoint(NamedTuple):
    """One handler, and the limit of the request body it takes (None: the server's)."""

    handler: Handler
    max_body: int | None


@dataclass(slots=True)
class Resource:
    """One template and its handlers, by method. `allowed` are the methods with those the router adds."""

    segments: tuple[str | Parameter, ...]
    endpoints: dict[str, Endpoint] = field(default_factory=dict)
    explicit: set[str] = field(default_factory=set)

    def add(self, method: str, endpoint: Endpoint) -> None:
        self.explicit.add(method)
        self.endpoints[method] = endpoint
        # RFC 9110 section 9.3.2: HEAD is GET without its content; the server leaves the content out.
        if method == "GET" and "HEAD" not in self.explicit:
            self.endpoints["HEAD"] = endpoint

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
                    return None  # joined, an encoded slash could no longer be told from a separator
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
        self.methods: set[str] = {"OPTIONS"}

    def __call__(self, request: Request) -> Answer:
        """Answer `request`. Raises HTTPError 400, 404, 405, 413 or 501."""
        endpoints = self._constant.get(request.path)
        if endpoints is not None:
            endpoint = endpoints.get(request.method)
            if endpoint is not None:
                return endpoint.handler(request) if request.body_ended else _call(endpoint, request, {})
        return self._search(request)

    def route(self, path: str, methods: Iterable[str] = ("GET",), max_body: int | None = None) -> Callable[[H], H]:
        """Register the decorated function for `path` and `methods`; `max_body` bytes instead of the server's limit.

        Raises ValueError for a template or method that is malformed or there already, TypeError for a function that
        cannot be called with the template's parameters.
        """
        segments = _parse_template(path)
        names = [methods] if isinstance(methods, str) else list(methods)
        if not names:
            raise ValueError(f"route {path!r} has no method")
        if max_body is not None and max_body < 0:
            raise ValueError(f"route {path!r}: max_body is {max_body}")

        def register(handler: H) -> H:
            _check_signature(path, segments, handler)
            for method in names:
                self._add(path, segments, method, Endpoint(handler, max_body))
            return handler

        return register

    def get(self, path: str, max_body: int | None = None) -> Callable[[H], H]:
        """Register the decorated function for GET, and for HEAD unless that has its own."""
        return self.route(path, ("GET",), max_body)

    def post(self, path: str, max_body: int | None = None) -> Callable[[H], H]:
        """Register the decorated function for POST."""
        return self.route(path, ("POST",), max_body)

    def put(self, path: str, max_body: int | None = None) -> Callable[[H], H]:
        """Register the decorated function for PUT."""
        return self.route(path, ("PUT",), max_body)

    def patch(self, path: str, max_body: int | None = None) -> Callable[[H], H]:
        """Register the decorated function for PATCH."""
        return self.route(path, ("PATCH",), max_body)

    def delete(self, path: str, max_body: int | None = None) -> Callable[[H], H]:
        """Register the decorated function for DELETE."""
        return self.route(path, ("DELETE",), max_body)

    def mount(self, prefix: str, application: Application) -> None:
        """Hand every request beneath `prefix`, whatever its method, to `application`. Raises ValueError."""
        segments = _parse_template(prefix.rstrip("/") or "/")
        if not all(isinstance(part, str) for part in segments):
            raise ValueError(f"mount {prefix!r}: a prefix has no parameters")
        constant = [str(part) for part in segments if part]
        if any(mount.segments[1:] == constant for mount in self._mounts):
            raise ValueError(f"mount {prefix!r} is there already")
        path = "".join("/" + quote(part, safe="") for part in constant)
        self._mounts.append(Mount(["", *constant], path, application))
        self._mounts.sort(key=lambda mount: -len(mount.segments))
        # A mounted router or directory says which methods it knows; of any other application nothing is known.
        self.methods.update(getattr(application, "methods", ()))

    def _add(self, path: str, segments: tuple[str | Parameter, ...], method: str, endpoint: Endpoint) -> None:
        if not _METHOD.fullmatch(method):
            raise ValueError(f"route {path!r}: {method!r} is no method; methods are upper-case tokens")
        # Two templates that differ only in their parameters' names match the same paths.
        key = tuple(part if isinstance(part, str) else Parameter("", part.kind) for part in segments)
        resource = self._resources.get(key)
        if resource is None:
            resource = self._resources[key] = Resource(segments)
            self._index(path, resource)
        elif resource.segments != segments:
            raise ValueError(f"route {path!r} names its parameters unlike an earlier route that matches the same paths")
        if method in resource.explicit:
            raise ValueError(f"route {method} {path} is there already")
        resource.add(method, endpoint)
        self.methods.update(resource.endpoints)

    def _index(self, path: str, resource: Resource) -> None:
        last = resource.segments[-1]
        if all(isinstance(part, str) for part in resource.segments):
            self._constant[path] = resource.endpoints
        elif isinstance(last, Parameter) and last.kind == "path":
            self._open_ended.append(resource)
        else:
            self._by_length.setdefault(len(resource.segments), []).append(resource)

    def _search(self, request: Request) -> Answer:
        """The way for what is not a constant path with its method, spelt as it was registered."""
        method = request.method
        if request.path == "*":  # RFC 9110 section 9.3.7: about the server as a whole
            return _options(self.methods)
        raw = request.path.split("/")
        segments = _decode(raw) if "%" in request.path else raw
        allowed: set[str] = set()
        for endpoints, parameters in self._matches(segments):
            endpoint = endpoints.get(method)
            if endpoint is not None:
                return _call(endpoint, request, parameters)
            allowed.update(endpoints)
        if not allowed:
            mount = self._mount(segments)
            if mount is not None:
                return _enter(mount, request, raw)
        return self._refuse(request, allowed)

    def _matches(self, segments: list[str]) -> Iterator[tuple[dict[str, Endpoint], dict[str, Any]]]:
        constant = self._constant.get("/".join(segments))
        if constant is not None and not any("/" in segment for segment in segments):
            yield constant, {}
        for resource in self._by_length.get(len(segments), ()):
            parameters = resource.match(segments)
            if parameters is not None:
                yield resource.endpoints, parameters
        for resource in self._open_ended:
            if len(segments) >= len(resource.segments):
                parameters = resource.match(segments)
                if parameters is not None:
                    yield resource.endpoints, parameters

    def _mount(self, segments: list[str]) -> Mount | None:
        for mount in self._mounts:
            if segments[: len(mount.segments)] == mount.segments:
                return mount
        return None

    def _refuse(self, request: Request, allowed: set[str]) -> Response:
        """Answer OPTIONS; raise for the rest."""
        method = request.method
        if method not in self.methods:
            # RFC 9110 section 15.6.2
            raise HTTPError(501, f"No resource here knows the method {method}.")
        if not allowed:
            # RFC 9110 section 15.5.5
            raise HTTPError(404, "There is nothing at this path.")
        if method == "OPTIONS":
            return _options(allowed)
        # RFC 9110 section 15.5.6
        raise HTTPError(405, f"This resource does not take {method}.", (_allow(allowed),))


def _parse_template(path: str) -> tuple[str | Parameter, ...]:
    """The segments of `path`, the empty one before its first slash included. Raises ValueError."""
    if not path.startswith("/"):
        raise ValueError(f"route {path!r} does not begin with a slash")
    if any(mark in path for mark in "%?#") or _NOT_TEXT.search(path):
        raise ValueError(f"route {path!r}: a template is a decoded path, without % ? # and control characters")
    parts: list[str | Parameter] = []
    for segment in path.split("/"):
        if "{" not in segment and "}" not in segment:
            parts.append(segment)
            continue
        parameter = _PARAMETER.fullmatch(segment)
        if parameter is None:
            raise ValueError(f"route {path!r}: {segment!r} is no parameter; one is a whole segment, {{name:kind}}")
        name, kind = parameter[1], parameter[2] or "str"
        if kind not in CONVERTERS:
            raise ValueError(f"route {path!r}: unknown converter {kind!r}; there are {', '.join(CONVERTERS)}")
        if any(isinstance(part, Parameter) and part.name == name for part in parts):
            raise ValueError(f"route {path!r} has the parameter {name!r} twice")
        parts.append(Parameter(name, kind))
    if any(isinstance(part, Parameter) and part.kind == "path" for part in parts[:-1]):
        raise ValueError(f"route {path!r}: a path parameter takes all the rest, so it comes last")
    return tuple(parts)


def _check_signature(path: str, segments: tuple[str | Parameter, ...], handler: Handler) -> None:
    """Raises TypeError unless `handler(request, **parameters)` can be called."""
    names = [part.name for part in segments if isinstance(part, Parameter)]
    try:
        inspect.signature(handler).bind(None, **dict.fromkeys(names))
    except TypeError as error:
        name = getattr(handler, "__name__", repr(handler))
        wanted = ", ".join(["request", *names])
        raise TypeError(f"route {path!r}: {name} cannot be called with ({wanted}): {error}") from None


def _decode(raw: list[str]) -> list[str]:
    """Each segment percent-decoded, once; bytes that are not UTF-8 as surrogates. Raises HTTPError 400."""
    if any(_STRAY_PERCENT.search(segment) for segment in raw):
        # RFC 3986 section 2.1
        raise HTTPError(400, "The path has a % that is not followed by two hexadecimal digits.")
    return [unquote_to_bytes(segment).decode("utf-8", "surrogateescape") for segment in raw]


def _call(endpoint: Endpoint, request: Request, parameters: dict[str, Any]) -> Answer:
    """Run the handler, unless what was asked of it cannot be good."""
    for name, value in parameters.items():
        if isinstance(value, str) and _NOT_TEXT.search(value):
            raise HTTPError(400, f"The path's {name} is not UTF-8 text without control characters.")
    if not request.body_ended:
        if endpoint.max_body is not None:
            request.body_limit = endpoint.max_body
        # RFC 9110 section 15.5.14: said before the client has sent it, where the length is known.
        if request.content_length is not None and request.content_length > request.body_limit:
            raise HTTPError(413, f"The body may have at most {request.body_limit} bytes here.")
    return endpoint.handler(request, **parameters)


def _enter(mount: Mount, request: Request, raw: list[str]) -> Answer:
    """Hand `request` to the mounted application: its path is what follows the prefix, still percent-encoded."""
    rest = raw[len(mount.segments) :]
    if not rest and mount.prefix:
        # The prefix without its slash: relative references in what is there would miss it (RFC 9110 section 15.4.2).
        query = f"?{request.query}" if request.query else ""
        location = f"{request.base}{mount.prefix}/{query}"
        status = 301 if request.method in ("GET", "HEAD") else 308  # 301 would turn POST into GET
        return Response(status=status, fields=((b"location", location.encode("ascii", "replace")),))
    request.base += mount.prefix
    request.path = "/" + "/".join(rest)
    return mount.application(request)


def _allow(methods: set[str]) -> tuple[bytes, bytes]:
    return b"allow", ", ".join(sorted(methods | {"OPTIONS"})).encode()


def _options(methods: set[str]) -> Response:
    # RFC 9110 section 9.3.7
    return Response(status=204, fields=(_allow(methods),))
