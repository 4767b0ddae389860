"""Where a handler stands in the user's sources, for messages: `show (shop/orders.py:41)`."""

from types import CodeType
from typing import Any

_AROUND = ("func", "handler", "plain", "__wrapped__", "__func__")
"""What holds a handler that is called through something else: a partial, a route's limits, a query, a method."""
_DEEPEST = 10


def code_of(what: Any) -> CodeType | None:
    """The code of a coroutine's function, or of a handler, whatever a route has put around it; None for others."""
    for _ in range(_DEEPEST):
        code = getattr(what, "cr_code", None) or getattr(what, "__code__", None)
        if isinstance(code, CodeType):
            return code
        inner = [found for name in _AROUND if (found := getattr(what, name, None)) is not None]
        what = inner[0] if inner else vars(type(what)).get("__call__")
    return None


def place_of(what: Any) -> str:
    """Its name, file and line; empty where it is no function."""
    code = code_of(what)
    return f"{code.co_qualname} ({code.co_filename}:{code.co_firstlineno})" if code is not None else ""
