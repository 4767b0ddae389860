"""The application on tornado, with uvloop under it. Run: `python -m benchmarks.peers.tornado_app PORT`."""

import asyncio
import sys

import uvloop  # type: ignore[import-not-found, unused-ignore]
from tornado import httpserver, web  # type: ignore[import-not-found]

from benchmarks import work


class Constant(web.RequestHandler):  # type: ignore[misc]
    """Answers `/constant`."""

    def get(self) -> None:
        self.set_header("Content-Type", "application/json")
        self.finish(work.constant())

    def compute_etag(self) -> None:
        """No hash of the body for each answer: nobody else makes one."""


class Email(Constant):
    """Answers `/emails/{id}`."""

    def get(self, number: str) -> None:  # type: ignore[override]
        found = work.email(int(number))
        self.set_header("Content-Type", "application/json")
        self.set_status(200 if found else 404)
        self.finish(found or b"")


class Echo(Constant):
    """Answers `/echo`."""

    def post(self) -> None:
        self.set_header("Content-Type", "application/octet-stream")
        self.finish(self.request.body)


async def main(port: int) -> None:
    """Serve until a signal."""
    routes = [
        ("/constant", Constant),
        (r"/emails/(\d+)", Email),
        ("/echo", Echo),
        ("/files/(.*)", web.StaticFileHandler, {"path": str(work.data() / "files")}),
    ]
    app = web.Application(routes, log_function=lambda _handler: None)
    server = httpserver.HTTPServer(app, idle_connection_timeout=3600)
    server.bind(port, address="127.0.0.1", backlog=4096)
    server.start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(int(sys.argv[1])))
