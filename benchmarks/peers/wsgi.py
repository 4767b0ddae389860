"""The application for gunicorn, waitress, cheroot and granian: plain WSGI, without a framework.

A file is handed to the server where it offers `wsgi.file_wrapper`, else it is read and sent in pieces.
"""

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from benchmarks import work

Environ = dict[str, Any]
StartResponse = Callable[[str, list[tuple[str, str]]], object]

JSON = ("Content-Type", "application/json")
BINARY = ("Content-Type", "application/octet-stream")


def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Answer one request."""
    path: str = environ["PATH_INFO"]
    if path == "/constant":
        return _answer(start_response, "200 OK", work.constant(), JSON)
    if path.startswith("/emails/"):
        found = work.email(int(path[8:]))
        return _answer(start_response, "200 OK" if found else "404 Not Found", found or b"", JSON)
    if path == "/echo":
        body: bytes = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        return _answer(start_response, "200 OK", body, BINARY)
    if path == "/pid":
        return _answer(start_response, "200 OK", str(os.getpid()).encode(), BINARY)
    if path.startswith("/files/") and (file := work.file(path[7:])):
        return _file(environ, start_response, file)
    return _answer(start_response, "404 Not Found", b"", BINARY)


def _answer(start_response: StartResponse, status: str, body: bytes, kind: tuple[str, str]) -> Iterable[bytes]:
    start_response(status, [kind, ("Content-Length", str(len(body)))])
    return [body]


def _file(environ: Environ, start_response: StartResponse, file: Path) -> Iterable[bytes]:
    start_response("200 OK", [BINARY, ("Content-Length", str(file.stat().st_size))])
    source = file.open("rb")
    if "wsgi.file_wrapper" in environ:
        wrapped: Iterable[bytes] = environ["wsgi.file_wrapper"](source, work.PIECE)
        return wrapped
    return _pieces(source)


def _pieces(source: Any) -> Iterable[bytes]:
    with source:
        while piece := source.read(work.PIECE):
            yield piece
