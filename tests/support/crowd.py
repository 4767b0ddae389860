"""Clients in a process of their own: their work does not delay the client that measures, and each has its own limit on
descriptors.

    python -m tests.support.crowd upload HOST PORT          sends for ever
    python -m tests.support.crowd download HOST PORT        receives for ever
    python -m tests.support.crowd idle HOST PORT COUNT REQUESTS

The first two print a line with the bytes that they have moved, now and then. The third opens COUNT connections, asks
REQUESTS times on each, prints `ready`, and when its standard input ends, prints how many are still open and idle. All
of them end with their standard input.
"""

import os
import resource
import select
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tests.support.client import Address, request
from tests.support.server import ROOT

BLOCK = b"x" * 262144


class Crowd:
    """A process of clients, from the side of the test."""

    def __init__(self, kind: str, address: Address, *arguments: int) -> None:
        host, port = address
        words = [kind, host, str(port), *map(str, arguments)]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.crowd", *words],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def line(self) -> str:
        """The next line that it prints."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def end(self) -> str:
        """End it; what it still had to say."""
        said, _ = self.process.communicate(timeout=60)
        return said.strip()


@contextmanager
def crowd(kind: str, address: Address, *arguments: int) -> Iterator[Crowd]:
    """A process of clients that is ended in any case."""
    started = Crowd(kind, address, *arguments)
    try:
        yield started
    finally:
        if started.process.poll() is None:
            started.process.kill()
        for stream in (started.process.stdin, started.process.stdout):
            if stream is not None and not stream.closed:
                stream.close()
        started.process.wait()


def upload(address: Address) -> None:
    """Send a body without an end, as fast as it is taken."""
    with socket.create_connection(address) as client:
        client.sendall(request("/sink", f"Content-Length: {1 << 39}", method="POST"))
        moved = 0
        while True:
            for _ in range(100):
                client.sendall(BLOCK)
            moved += 100 * len(BLOCK)
            print(moved, flush=True)


def download(address: Address) -> None:
    """Receive a body without an end, as fast as it comes."""
    with socket.create_connection(address) as client:
        client.sendall(request("/firehose"))
        moved, told = 0, 0
        while data := client.recv(262144):
            moved += len(data)
            if moved - told > 25_000_000:
                told = moved
                print(moved, flush=True)


def idle(address: Address, count: int, requests: int) -> None:
    """Open, ask, and be idle."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    opened = []
    for _ in range(count):
        client = socket.create_connection(address)
        client.sendall(request("/hello") * requests)
        answers = b""
        while answers.count(b"\r\n\r\nhello\n") < requests:
            answers += client.recv(65536)
        opened.append(client)
    print("ready", flush=True)
    sys.stdin.read()
    poller = select.poll()
    for client in opened:
        poller.register(client, select.POLLIN | select.POLLRDHUP)
    print(count - len(poller.poll(0)), flush=True)


def main(kind: str, host: str, port: str, *arguments: str) -> None:
    address = host, int(port)
    if kind == "idle":
        idle(address, *map(int, arguments))
        return
    work = {"upload": upload, "download": download}[kind]
    threading.Thread(target=work, args=(address,), daemon=True).start()
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
