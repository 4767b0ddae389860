"""The application on the standard library's `http.server`: HTTP/1.1, a thread for each connection.

Run: `python -m benchmarks.peers.threading_server PORT`.
"""

import shutil
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from benchmarks import work


class Handler(BaseHTTPRequestHandler):
    """Answers on one connection, request after request."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body leave in one write
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        """Answer `/constant`, `/emails/{id}` and `/files/{name}`."""
        path = self.path.partition("?")[0]
        if path == "/constant":
            self.answer(200, work.constant(), "application/json")
        elif path.startswith("/emails/"):
            found = work.email(int(path[8:]))
            self.answer(200 if found else 404, found or b"", "application/json")
        elif path.startswith("/files/") and (file := work.file(path[7:])):
            self.head(200, file.stat().st_size, "application/octet-stream")
            with file.open("rb") as source:
                shutil.copyfileobj(source, self.wfile, work.PIECE)
        else:
            self.answer(404, b"", "text/plain")

    def do_POST(self) -> None:
        """Answer `/echo`."""
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.answer(200, body, "application/octet-stream")

    def answer(self, status: int, body: bytes, kind: str) -> None:
        """Send head and body."""
        self.head(status, len(body), kind)
        self.wfile.write(body)

    def head(self, status: int, length: int, kind: str) -> None:
        """Send the head."""
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(length))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()

    def log_message(self, *_arguments: object) -> None:
        """No access log: the others have theirs switched off."""


class Server(ThreadingHTTPServer):
    """With a backlog for the load's connections; the default of 5 drops them."""

    request_queue_size = 4096


if __name__ == "__main__":
    Server(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
