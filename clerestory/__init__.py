"""Clerestory, an HTTP server in which every connection is an explicit finite state machine.

What an application is written with:

- `Router` maps methods and paths to handlers; a handler takes a `Request` and returns a `Response`, a dict, a list, a
  str or bytes.
- `json_response`, `text_response`, `html_response` and `redirect` build responses; `HTTPError` is raised to answer with
  an error; `File` is a part of a file; `event_stream` sends server-sent events, each an `Event` or a value.
- `@router.around` registers what surrounds all handlers of a router, and goes on to them by its `Handle`.
- `@router.websocket(path)` registers a handler that takes a `WebSocket`; `WebSocketClosed` is raised once that is over.
- `await in_thread(function, *arguments)` runs a blocking function in a bounded pool of threads; `await sleep(seconds)`
  waits without one; `gather` waits for several operations at once, `wait_for` for one and not longer than a time.
  `in_background` lets a coroutine go on behind the answer.
- `Upstream` sends requests to another HTTP server; `PostgreSQL` and `SQLite` run transactions; `Operation` is the base
  class of everything that a handler can await.

The names are imported when they are first used: `import clerestory` alone imports neither the server nor a database.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from clerestory.handlers.api.around import Handle
    from clerestory.handlers.api.content import Upload
    from clerestory.handlers.api.errors import HTTPError
    from clerestory.handlers.api.events import Event, event_stream, last_event_id
    from clerestory.handlers.api.messages import (
        File,
        Request,
        Response,
        html_response,
        json_response,
        redirect,
        text_response,
    )
    from clerestory.handlers.api.operations import Operation
    from clerestory.handlers.api.tasks import in_background
    from clerestory.handlers.api.together import gather, wait_for
    from clerestory.handlers.backends.postgres.database import Database as PostgreSQL
    from clerestory.handlers.backends.sqlite import Database as SQLite
    from clerestory.handlers.backends.threads.threads import in_thread
    from clerestory.handlers.backends.timer import sleep
    from clerestory.handlers.backends.upstream.upstream import Upstream
    from clerestory.handlers.router import Router
    from clerestory.handlers.websocket.socket import WebSocket, WebSocketClosed

__all__ = [
    "Event",
    "File",
    "HTTPError",
    "Handle",
    "Operation",
    "PostgreSQL",
    "Request",
    "Response",
    "Router",
    "SQLite",
    "Upload",
    "Upstream",
    "WebSocket",
    "WebSocketClosed",
    "event_stream",
    "gather",
    "html_response",
    "in_background",
    "in_thread",
    "json_response",
    "last_event_id",
    "redirect",
    "sleep",
    "text_response",
    "wait_for",
]

_HOMES = {
    "Event": ("handlers.api.events", "Event"),
    "File": ("handlers.api.messages", "File"),
    "HTTPError": ("handlers.api.errors", "HTTPError"),
    "Handle": ("handlers.api.around", "Handle"),
    "Operation": ("handlers.api.operations", "Operation"),
    "PostgreSQL": ("handlers.backends.postgres.database", "Database"),
    "Request": ("handlers.api.messages", "Request"),
    "Response": ("handlers.api.messages", "Response"),
    "Router": ("handlers.router", "Router"),
    "SQLite": ("handlers.backends.sqlite", "Database"),
    "Upload": ("handlers.api.content", "Upload"),
    "Upstream": ("handlers.backends.upstream.upstream", "Upstream"),
    "WebSocket": ("handlers.websocket.socket", "WebSocket"),
    "WebSocketClosed": ("handlers.websocket.socket", "WebSocketClosed"),
    "event_stream": ("handlers.api.events", "event_stream"),
    "gather": ("handlers.api.together", "gather"),
    "html_response": ("handlers.api.messages", "html_response"),
    "in_background": ("handlers.api.tasks", "in_background"),
    "in_thread": ("handlers.backends.threads.threads", "in_thread"),
    "json_response": ("handlers.api.messages", "json_response"),
    "last_event_id": ("handlers.api.events", "last_event_id"),
    "redirect": ("handlers.api.messages", "redirect"),
    "sleep": ("handlers.backends.timer", "sleep"),
    "text_response": ("handlers.api.messages", "text_response"),
    "wait_for": ("handlers.api.together", "wait_for"),
}
"""Where each public name is defined: a module below this package, and its name there."""


def __getattr__(name: str) -> object:
    """Import a public name at its first use (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, attribute = _HOMES[name]
    value: object = getattr(import_module(f"{__name__}.{module}"), attribute)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
