"""The page of what an application is written with: every public name, its signature and its docstring."""

import inspect
import re
from collections.abc import Iterator
from typing import Any

import clerestory
from clerestory import testing, testing_websocket

PLACE = "reference/api.md"
TESTING = (testing.Client, testing.Answer, testing_websocket.TestSocket, testing_websocket.WebSocketRefused)
"""What tests are written with, from clerestory.testing."""


def page() -> str:
    """The page."""
    named = [(name, getattr(clerestory, name)) for name in clerestory.__all__]
    parts = [
        "# API\n\nEvery public name of `clerestory`. The [handlers' page](../handlers.md) shows them at work.\n",
        *(_part(f"clerestory.{name}", one) for name, one in named),
        "# Tests\n\nFrom `clerestory.testing`; the last two are what `Client.websocket` returns and raises.\n",
        *(_part(f"{one.__module__}.{one.__name__}", one) for one in TESTING),
    ]
    return "\n".join(parts)


def members_of(one: type) -> Iterator[tuple[str, Any]]:
    """The public methods and properties that a class defines, or takes over from one of ours, by name."""
    for name, _ in inspect.getmembers(one):
        found = inspect.getattr_static(one, name)
        is_ours = (getattr(_function(found), "__module__", None) or "").startswith("clerestory")
        if (
            not name.startswith("_")
            and is_ours
            and isinstance(found, property | classmethod | staticmethod | _FUNCTION)
        ):
            yield name, found


_FUNCTION = type(members_of)


def _function(found: Any) -> Any:
    return found.fget if isinstance(found, property) else getattr(found, "__func__", found)


def _part(name: str, one: Any) -> str:
    short = name.rpartition(".")[2]
    if getattr(one, "_is_protocol", False):  # what is given to an application, which calls it
        return f"## {short}\n\n```python\nasync {_signed(short, one.__call__)}\n```\n\n{_text(one)}\n"
    if not isinstance(one, type):
        return f"## {short}\n\n```python\n{_signed(short, one)}\n```\n\n{_text(one)}\n"
    parts = [f"## {short}\n\n```python\nclass {_signed(short, one)}\n```\n\n{_text(one)}\n"]
    for member, found in members_of(one):
        function = _function(found)
        called = f"{short}.{member}" if isinstance(found, property) else _signed(f"{short}.{member}", function)
        prefix = "async " if inspect.iscoroutinefunction(function) else ""
        parts.append(f"### {short}.{member}\n\n```python\n{prefix}{called}\n```\n\n{_text(function)}\n")
    return "\n".join(parts)


def _signed(name: str, one: Any) -> str:
    """Its name and parameters, as they are written."""
    try:
        signature = inspect.signature(one)
    except ValueError:  # a class that is made of no __init__ of its own
        return name
    parameters = [one for one in signature.parameters.values() if one.name != "self"]
    text = re.sub(r"(: |-> )'([^']+)'", r"\1\2", f"{name}{signature.replace(parameters=parameters)}")
    text = re.sub(r"\*<class '([\w.]+)'>", r"Unpack[\1]", text).replace("~", "")
    return re.sub(r"\b(?:clerestory|collections|typing)\.(?:\w+\.)*(\w+)", r"\1", text)


def _text(one: Any) -> str:
    """Its docstring."""
    return inspect.getdoc(one) or ""
