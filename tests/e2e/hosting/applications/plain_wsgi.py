"""The contract of tests/e2e/hosting in plain WSGI (PEP 3333)."""

import json
import time
from collections.abc import Iterable, Iterator
from email.message import Message
from email.parser import BytesParser
from typing import Any
from urllib.parse import parse_qs
from wsgiref.util import FileWrapper

marks: dict[str, str] = {}
TEXT = [("Content-Type", "text/plain")]


def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
    if path.startswith("/items/"):
        query = parse_qs(environ["QUERY_STRING"]).get("q", [None])[0]
        return said(start_response, {"id": int(path[7:]), "q": query})
    match "GET" if method == "HEAD" else method, path:
        case "GET", "/":
            return said(start_response, {"hello": "world"}, ("X-App", "plain"))
        case "GET", "/empty":
            start_response("204 No Content", [])
            return []
        case "POST", "/echo":
            start_response("200 OK", [("Content-Type", environ["CONTENT_TYPE"])])
            return [environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))]
        case "POST", "/count":
            return said(start_response, length_of(environ))
        case "POST", "/upload":
            return said(start_response, uploaded(environ))
        case "GET", "/stream":
            start_response("200 OK", TEXT)
            return (b"piece %d\n" % number for number in range(100))
        case "GET", "/endless":
            start_response("200 OK", TEXT)
            return endless()
        case "GET", "/file":
            start_response("200 OK", TEXT)
            wrapper: Any = environ.get("wsgi.file_wrapper", FileWrapper)  # a server need not have one
            wrapped: Iterable[bytes] = wrapper(open(__file__, "rb"))  # noqa: SIM115 - the server closes it
            return wrapped
        case "GET", "/marks":
            return said(start_response, marks)
        case "GET", "/error":
            raise RuntimeError("the application's own fault")
        case "GET", "/broken":
            start_response("200 OK", TEXT)
            return broken()
    start_response("404 Not Found", [("Content-Length", "0")])
    return []


def said(start_response: Any, what: Any, *fields: tuple[str, str]) -> list[bytes]:
    body = json.dumps(what).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body))), *fields])
    return [body]


def length_of(environ: dict[str, Any]) -> int:
    """Of a body whose length may not be known: where the server says that its end is the body's end."""
    left = int(environ["CONTENT_LENGTH"]) if environ.get("CONTENT_LENGTH") else None
    assert left is not None or environ.get("wsgi.input_terminated")
    size = 0
    while piece := environ["wsgi.input"].read(1000 if left is None else min(1000, left - size)):
        size += len(piece)
    return size


def uploaded(environ: dict[str, Any]) -> dict[str, Any]:
    body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
    form: Message = BytesParser().parsebytes(b"Content-Type: " + environ["CONTENT_TYPE"].encode() + b"\r\n\r\n" + body)
    parts = {part.get_param("name", header="content-disposition"): part for part in form.get_payload()}  # type: ignore[union-attr]
    file, note = parts["file"], parts["note"]
    return {
        "name": file.get_filename(),  # type: ignore[union-attr]
        "size": len(file.get_payload(decode=True)),  # type: ignore[union-attr]
        "note": note.get_payload(),  # type: ignore[union-attr]
    }


def endless() -> Iterator[bytes]:
    try:
        while True:
            yield b"more\n"
            time.sleep(0.01)
    finally:
        marks["endless"] = "gone"


def broken() -> Iterator[bytes]:
    yield b"x" * 100_000
    yield b"x" * 100_000
    raise RuntimeError("behind the beginning")
