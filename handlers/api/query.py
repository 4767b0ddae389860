"""Query parameters: a handler's parameters that are not in its route's path, converted as they are annotated.

    @router.get("/orders")
    def orders(request: Request, page: int = 1, tag: list[str] = []) -> dict[str, Any]: ...

A parameter is one if it has an annotation that is known here: `int`, `float`, `bool`, `str`, `UUID`, a list of one of
these, or one of these or None. A parameter with a default that has no such annotation is the application's own, and
keeps its default, as in `lambda request, name=name: ...`. What is missing, given twice, or not of its type is 400.

All is found out when a route is registered: only a handler that has query parameters is called through a `Queried`.
"""

import inspect
import re
import types
import uuid
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, Union, get_args, get_origin

from clerestory.handlers.api.content import parse_pairs
from clerestory.handlers.api.errors import HTTPError
from clerestory.handlers.api.messages import Answer, Request

_INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,18})")
_NUMBER = re.compile(r"-?[0-9]{1,40}(\.[0-9]{1,40})?([eE][+-]?[0-9]{1,2})?")
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}


def _integer(text: str) -> int | None:
    """Below 2**63, which fits into any database's integer."""
    return value if _INTEGER.fullmatch(text) and -(1 << 63) <= (value := int(text)) < 1 << 63 else None


def _number(text: str) -> float | None:
    return float(text) if _NUMBER.fullmatch(text) else None


def _text(text: str) -> str | None:
    return None if _CONTROL.search(text) else text


def _uuid(text: str) -> uuid.UUID | None:
    return uuid.UUID(text) if _UUID.fullmatch(text) else None


class Kind(NamedTuple):
    """How a type is read: None where it is not of that type; and what is said then."""

    convert: Callable[[str], Any]
    phrase: str


KINDS: dict[Any, Kind] = {
    int: Kind(_integer, "an integer"),
    float: Kind(_number, "a number"),
    bool: Kind(_BOOLEANS.get, "true or false"),
    str: Kind(_text, "text without control characters"),
    uuid.UUID: Kind(_uuid, "a UUID"),
}


class Parameter(NamedTuple):
    """One query parameter. `default` is `inspect.Parameter.empty` where it must be given, but for a list."""

    name: str
    kind: Kind
    default: Any
    many: bool

    def value_of(self, values: list[str]) -> Any:
        """What the handler gets for `values`, which are all that the query has. Raises HTTPError 400."""
        if self.many:
            return [self._converted(value) for value in values]
        if len(values) > 1:
            raise HTTPError(400, f"The query parameter {self.name} must be given once.")
        return self._converted(values[0])

    def _converted(self, value: str) -> Any:
        converted = self.kind.convert(value)
        if converted is None:
            raise HTTPError(400, f"The query parameter {self.name} must be {self.kind.phrase}.")
        return converted


class Queried:
    """A handler that has query parameters."""

    __slots__ = ("handler", "parameters")

    def __init__(self, handler: Callable[..., Any], parameters: list[Parameter]) -> None:
        self.handler = handler
        self.parameters = parameters

    def __call__(self, request: Request, **path: Any) -> Answer:
        given: dict[str, list[str]] = {}
        for name, value in parse_pairs(request.query, "query"):
            given.setdefault(name, []).append(value)
        for parameter in self.parameters:
            values = given.get(parameter.name)
            if values is not None:
                path[parameter.name] = parameter.value_of(values)
            elif parameter.default is inspect.Parameter.empty:
                if not parameter.many:
                    wanted = f"must be given: {parameter.kind.phrase}"
                    raise HTTPError(400, f"The query parameter {parameter.name} {wanted}.")
                path[parameter.name] = []
        answer: Answer = self.handler(request, **path)
        return answer


def queried(path: str, names: Iterable[str], handler: Callable[..., Any]) -> Callable[..., Any]:
    """`handler`, or what calls it with its query parameters; `names` are those of its path. Raises TypeError if it
    cannot be called so."""
    in_path = set(names)
    signature = _signature(handler)
    parameters = []
    for place, parameter in enumerate(signature.parameters.values()):
        if not place or parameter.name in in_path or parameter.kind not in _NAMED:
            continue
        found = _parameter(parameter)
        if found is not None:
            parameters.append(found)
    wanted = [*in_path, *(parameter.name for parameter in parameters)]
    try:
        signature.bind(None, **dict.fromkeys(wanted))
    except TypeError as error:
        raise TypeError(_fault(path, handler, names, error)) from None
    return Queried(handler, parameters) if parameters else handler


_NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


def _signature(handler: Callable[..., Any]) -> inspect.Signature:
    """With annotations as objects, also where they are written as text; as they are where a name is not known."""
    try:
        return inspect.signature(handler, eval_str=True)
    except Exception:  # noqa: BLE001 - an annotation may be any expression
        return inspect.signature(handler)


def _parameter(parameter: inspect.Parameter) -> Parameter | None:
    """The query parameter that a handler's parameter is; None for another."""
    annotation, default = parameter.annotation, parameter.default
    if get_origin(annotation) in (Union, types.UnionType):
        others = [one for one in get_args(annotation) if one is not type(None)]
        if len(others) == 1 and len(get_args(annotation)) == 2:
            (annotation,) = others
    many = get_origin(annotation) is list
    kind = KINDS.get((get_args(annotation) or (None,))[0] if many else annotation)
    return Parameter(parameter.name, kind, default, many) if kind is not None else None


def _fault(path: str, handler: Callable[..., Any], names: Iterable[str], error: TypeError) -> str:
    name = getattr(inspect.unwrap(handler), "__name__", repr(handler))
    wanted = ", ".join(["request", *names])
    hint = "; a query parameter is annotated int, float, bool, str, UUID or a list of these"
    return f"route {path!r}: {name} cannot be called with ({wanted}): {error}{hint if 'missing' in str(error) else ''}"
