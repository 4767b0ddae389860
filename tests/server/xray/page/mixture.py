"""A server with a bit of everything: idle clients, half a head, half a body, handlers that wait, clients that read
nothing, connections that have ended well and ill."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from tests.server.xray.page.crowd import BODY, HEAD, Crowd
from tests.support.client import Client, request
from tests.support.server import ServerProcess

USUAL = {"keep-alive": 75, "head": 90, "body": 120, "backend": 120, "send": 120}
"""Deadlines that look as they do in practice."""

LONG = dict.fromkeys(USUAL, 3600)
"""None of them passes while a test looks, however slow the machine is."""

COOKED = request("/wait/a-report?quarter=3", "Cookie: session=1", "User-Agent: curl/8.5.0", "Accept: */*")


@contextmanager
def mixed(choices: list[str], timeouts: Mapping[str, int] = LONG) -> Iterator[ServerProcess]:
    """Such a server, with an x-ray; its clients are `127.0.0.7` and those after it."""
    options = [word for name, seconds in timeouts.items() for word in (f"--{name}-timeout", str(seconds))]
    options += ["--body-min-rate", "0", "--send-min-rate", "0", "--no-access-log"]
    server = ServerProcess(*choices, "--xray", "127.0.0.1:0", *options)
    with Crowd(server.address) as crowd:
        crowd.add(60)
        for data, status in ((b"BAD\r\n\r\n", 400), (request("/hello", "Connection: close"), 200)):
            for _ in range(9):
                with Client(server.address, data=data) as client:
                    assert client.answer().status == status
        crowd.add(6, HEAD, "127.0.0.7")
        crowd.add(5, BODY, "127.0.0.8")
        crowd.add(7, COOKED, "127.0.0.9")
        crowd.add(3, request("/bytes/20000000"), "127.0.0.9", window=4096)
        yield server
    server.finish()
