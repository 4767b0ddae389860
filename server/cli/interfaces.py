"""An application: found by its name, and told what it is by how it is called.

    a router, or any function of one request    called with the request
    ASGI 3                                      called with scope, receive, send
    ASGI 2                                      called with scope, and what that gives with receive, send
    WSGI                                        called with environ, start_response
    a factory                                   called with nothing: it makes one of the others

What it is can be seen from its signature, mostly; `--interface` and `--factory` say it. What cannot be told is an
InterfaceError: one line that says what to write.
"""

import difflib
import importlib
import inspect
import os
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from itertools import dropwhile, takewhile
from types import FrameType, ModuleType
from typing import Any, Literal

from clerestory.handlers.asgi.application import ASGI
from clerestory.handlers.proxy.forwarding import parse_networks
from clerestory.handlers.router import Router
from clerestory.handlers.wsgi.application import WSGI

Interface = Literal["auto", "asgi", "wsgi", "router"]
LifespanMode = Literal["auto", "on", "off"]
SpecVersion = Literal["2.4", "2.3"]

_KINDS = {"asgi3": "ASGI", "asgi2": "ASGI 2", "wsgi": "WSGI", "router": ""}


class InterfaceError(Exception):
    """There is no application, or none that can be served; the message is one line."""


@dataclass(frozen=True, slots=True)
class How:
    """How an application is found and called, as it was asked for. `prefix` is where it is mounted, which its root path
    includes; a router learns of it with each request."""

    interface: Interface = "auto"
    factory: bool = False
    app_dir: str = ""
    lifespan: LifespanMode = "auto"
    root_path: str = ""
    spec_version: SpecVersion = "2.4"
    trusted: tuple[str, ...] = ()
    prefix: str = ""


def is_module_name(name: str) -> bool:
    """Whether it is dotted identifiers."""
    return all(part.isidentifier() for part in name.split("."))


# --- what it is


def host(found: Any, target: str, how: How) -> tuple[Any, str]:
    """What the server calls for `found`, and what it is in a few words. Raises InterfaceError."""
    made = ""
    if how.factory or (how.interface == "auto" and _is_factory(found)):
        found, made = _make(found, target), " made by"
    kind = _forced(found, how.interface) if how.interface != "auto" else classify(found)
    if kind is None:
        raise InterfaceError(_untold(found, target))
    if kind == "router":
        if how.root_path != how.prefix:
            raise InterfaceError("--root-path is for an ASGI or WSGI application")
        return found, f"the application{made} {target}"
    try:
        trusted = parse_networks(how.trusted)
    except ValueError as error:
        raise InterfaceError(f"--trust: {error}") from error
    if kind == "wsgi":
        return WSGI(found, root_path=how.root_path, trusted=trusted), f"the WSGI application{made} {target}"
    called = _single(found) if kind == "asgi2" else found
    hosted = ASGI(
        called, root_path=how.root_path, trusted=trusted, spec_version=how.spec_version, lifespan=how.lifespan
    )
    return hosted, f"the {_KINDS[kind]} application{made} {target}"


def classify(found: Any) -> str | None:
    """`router`, `asgi3`, `asgi2` or `wsgi`; None where it cannot be told."""
    if isinstance(found, Router):
        return "router"
    if inspect.isclass(found):
        return "asgi2" if _takes(found, 1) and _is_called_with(found, 2) else None
    if not callable(found):
        return None
    if _takes(found, 3):
        return "asgi3"
    if _takes(found, 2):
        return None if _is_coroutine(found) else "wsgi"
    if _takes(found, 1):
        return "asgi2" if _first_name(found) == "scope" else "router"
    return None


def _forced(found: Any, interface: Interface) -> str | None:
    if not callable(found):
        return None
    if interface == "asgi":
        return "asgi2" if inspect.isclass(found) or (_takes(found, 1) and not _takes(found, 3)) else "asgi3"
    return interface


def _untold(found: Any, target: str) -> str:
    if inspect.isclass(found):
        return f"{target} is a class: name an instance of it, or a function that makes one, with --factory"
    if not callable(found):
        return f"{target} is of type {type(found).__name__} and cannot be called with a request"
    return f"{target}: its parameters do not show what it is: write --interface asgi, wsgi or router"


def _is_factory(found: Any) -> bool:
    return inspect.isroutine(found) and not _is_coroutine(found) and _takes(found, 0) and _first_name(found) == ""


def _make(factory: Any, target: str) -> Any:
    if not callable(factory):
        raise InterfaceError(f"{target} is of type {type(factory).__name__}, not a factory")
    try:
        return factory()
    except (Exception, SystemExit) as error:
        raise InterfaceError(f"{target} as a factory: {_where(error)}") from error


def _single(double: Callable[[Any], Any]) -> Callable[[Any, Any, Any], Any]:
    """ASGI 2 as ASGI 3."""

    async def called(scope: Any, receive: Any, send: Any) -> None:
        await double(scope)(receive, send)

    return called


# --- how it is called


def _parameters(found: Any) -> list[inspect.Parameter] | None:
    try:
        return list(inspect.signature(found).parameters.values())
    except (TypeError, ValueError):
        return None


def _takes(found: Any, count: int) -> bool:
    """Whether it can be called with so many positional arguments, and is not made for any number of them."""
    parameters = _parameters(found)
    if parameters is None or any(one.kind is one.VAR_POSITIONAL for one in parameters):
        return False
    positional = [one for one in parameters if one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD)]
    needed = [one for one in positional if one.default is one.empty]
    missing = [one for one in parameters if one.kind is one.KEYWORD_ONLY and one.default is one.empty]
    return not missing and len(needed) == count


def _first_name(found: Any) -> str:
    parameters = _parameters(found)
    return parameters[0].name if parameters else ""


def _is_called_with(kind: type, count: int) -> bool:
    """Whether instances of `kind` can be called with so many arguments besides themselves."""
    call = kind.__dict__.get("__call__") or getattr(kind, "__call__", None)  # noqa: B004 - its signature is wanted
    return call is not None and inspect.isroutine(call) and _takes(call, count + 1)


def _is_coroutine(found: Any) -> bool:
    call = getattr(found, "__call__", None)  # noqa: B004 - of an instance
    return inspect.iscoroutinefunction(found) or inspect.iscoroutinefunction(call)


# --- where it is


def load(name: str, path: str, app_dir: str = "") -> Any:
    """The attribute `path` of the module `name`. `app_dir`, else the current directory, comes first on its path, as it
    does under `python -m`. Raises InterfaceError."""
    return _attribute(_import(name, app_dir), name, path)


def _import(name: str, app_dir: str) -> ModuleType:
    try:
        here = os.path.abspath(app_dir) if app_dir else os.getcwd()
    except FileNotFoundError:
        raise InterfaceError("the current directory has been deleted: change to one that exists") from None
    if app_dir and not os.path.isdir(app_dir):
        raise InterfaceError(f"--app-dir {app_dir}: there is no such directory")
    if here not in sys.path and (app_dir or "" not in sys.path):
        sys.path.insert(0, here)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name + ".").startswith(error.name + "."):
            raise InterfaceError(f"there is no module {error.name} in {here}, nor is one installed") from error
        raise InterfaceError(f"{name} cannot be imported: {_where(error)}") from error
    except (Exception, SystemExit) as error:
        raise InterfaceError(f"{name} cannot be imported: {_where(error)}") from error


def _where(error: BaseException) -> str:
    """File, line and error: the line that raised, or, where we raised it, the application's line that called us."""
    said = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    if isinstance(error, SyntaxError) and error.filename is not None:
        return f"{error.filename}, line {error.lineno}: {type(error).__name__}: {error.msg}"
    frames = [
        (frame, line)
        for frame, line in traceback.walk_tb(error.__traceback__)
        if not frame.f_code.co_filename.startswith("<frozen")
    ]
    since = dropwhile(lambda one: _is_ours(one[0]), frames)
    theirs = list(takewhile(lambda one: not _is_ours(one[0]), since))
    frame, line = (theirs or frames)[-1]
    return f"{frame.f_code.co_filename}, line {line}: {said}"


def _is_ours(frame: FrameType) -> bool:
    """Whether `frame` runs a module of ours, compiled or not."""
    return str(frame.f_globals.get("__name__")).startswith("clerestory.")


def _attribute(module: ModuleType, name: str, path: str) -> Any:
    found: Any = module
    for part in path.split("."):
        try:
            found = getattr(found, part)
        except AttributeError as error:
            near = difflib.get_close_matches(part, [one for one in dir(found) if not one.startswith("_")], 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise InterfaceError(f"{name} has no attribute {path}{hint}") from error
    return found
