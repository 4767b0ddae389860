"""The contract of tests/e2e/hosting in Flask."""

import time
from collections.abc import Iterator
from typing import Any

from flask import Flask, Response, jsonify, request

marks: dict[str, str] = {}
app = Flask(__name__)


@app.get("/")
def index() -> Any:
    return jsonify(hello="world"), 200, {"x-app": "flask"}


@app.get("/items/<int:number>")
def item(number: int) -> Any:
    return jsonify(id=number, q=request.args.get("q"))


@app.get("/empty")
def empty() -> Any:
    return "", 204


@app.post("/echo")
def echo() -> Any:
    return Response(request.get_data(), content_type=request.content_type)


@app.post("/count")
def count() -> Any:
    return jsonify(sum(len(piece) for piece in iter(lambda: request.stream.read(1000), b"")))


@app.post("/upload")
def upload() -> Any:
    file = request.files["file"]
    return jsonify(name=file.filename, size=len(file.read()), note=request.form["note"])


@app.get("/stream")
def stream() -> Any:
    return Response((f"piece {number}\n" for number in range(100)), content_type="text/plain")


@app.get("/endless")
def endless() -> Any:
    def pieces() -> Iterator[str]:
        try:
            while True:
                yield "more\n"
                time.sleep(0.01)
        finally:
            marks["endless"] = "gone"

    return Response(pieces(), content_type="text/plain")


@app.get("/file")
def file() -> Any:
    from flask import send_file

    return send_file(__file__, mimetype="text/x-python", conditional=True)


@app.get("/marks")
def seen() -> Any:
    return jsonify(marks)


@app.get("/error")
def error() -> Any:
    raise RuntimeError("the application's own fault")


@app.get("/broken")
def broken() -> Any:
    def pieces() -> Iterator[bytes]:
        yield b"x" * 100_000
        yield b"x" * 100_000
        raise RuntimeError("behind the beginning")

    return Response(pieces())
