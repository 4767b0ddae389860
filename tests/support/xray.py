"""The x-ray of a server process, asked with its token."""

import json
from typing import Any
from urllib.request import Request, urlopen

from tests.support.server import TOKEN, ServerProcess
from tests.support.waiting import PATIENCE


def address_of(server: ServerProcess) -> str:
    """Where its x-ray is: `http://127.0.0.1:8001/`."""
    url: str = server.wait_for("xray")["url"]
    return url


def asked(url: str, path: str, method: str = "GET") -> str:
    """What the x-ray at `url` answers."""
    head = {"authorization": f"Bearer {TOKEN}"}
    with urlopen(Request(url + path.removeprefix("/"), headers=head, method=method), timeout=PATIENCE) as answer:
        return str(answer.read(), "utf-8")


def read(server: ServerProcess, path: str) -> str:
    """What the x-ray of `server` answers."""
    return asked(address_of(server), path)


def look(server: ServerProcess, path: str) -> Any:
    """The JSON that the x-ray of `server` answers with."""
    return json.loads(read(server, path))


def link_to(url: str) -> str:
    """A link that opens the page there, once."""
    return f"{url}#key:{json.loads(asked(url, 'key', 'POST'))['key']}"
