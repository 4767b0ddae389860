"""The contract of tests/e2e/hosting in Falcon, synchronous."""

import time
from collections.abc import Iterator
from typing import Any

import falcon

marks: dict[str, str] = {}


class Resource:
    def on_get(self, req: Any, resp: Any) -> None:
        resp.media = {"hello": "world"}
        resp.set_header("x-app", "falcon")

    def on_get_item(self, req: Any, resp: Any, number: int) -> None:
        resp.media = {"id": number, "q": req.get_param("q")}

    def on_get_empty(self, req: Any, resp: Any) -> None:
        resp.status = falcon.HTTP_204

    def on_post_echo(self, req: Any, resp: Any) -> None:
        resp.data = req.bounded_stream.read()
        resp.content_type = req.content_type

    def on_post_count(self, req: Any, resp: Any) -> None:
        resp.media = sum(len(piece) for piece in iter(lambda: req.stream.read(1000), b""))

    def on_get_stream(self, req: Any, resp: Any) -> None:
        resp.content_type = "text/plain"
        resp.stream = (b"piece %d\n" % number for number in range(100))

    def on_get_endless(self, req: Any, resp: Any) -> None:
        def pieces() -> Iterator[bytes]:
            try:
                while True:
                    yield b"more\n"
                    time.sleep(0.01)
            finally:
                marks["endless"] = "gone"

        resp.stream = pieces()

    def on_get_file(self, req: Any, resp: Any) -> None:
        resp.stream = open(__file__, "rb")  # noqa: SIM115 - the server closes it
        resp.content_type = "text/x-python"

    def on_get_marks(self, req: Any, resp: Any) -> None:
        resp.media = marks

    def on_get_error(self, req: Any, resp: Any) -> None:
        raise RuntimeError("the application's own fault")

    def on_get_broken(self, req: Any, resp: Any) -> None:
        def pieces() -> Iterator[bytes]:
            yield b"x" * 100_000
            yield b"x" * 100_000
            raise RuntimeError("behind the beginning")

        resp.stream = pieces()


app = falcon.App()
one = Resource()
app.add_route("/", one)
app.add_route("/items/{number:int}", one, suffix="item")
for name in ("empty", "echo", "count", "stream", "endless", "file", "marks", "error", "broken"):
    app.add_route(f"/{name}", one, suffix=name)
