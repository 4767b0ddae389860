"""Several servers as one: their x-rays are asked at the same time, and what they answer is put together.

A server's name stands before the ids of its machines: `web1:17`, or `web1:2:17` where it has workers. A server that
does not answer is told in a banner, and the others are shown without it.
"""

import re
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, TypeVar
from urllib.parse import quote, unquote

from clerestory.server.loop.poller import READABLE
from clerestory.server.xray.serve.filters import USUAL
from clerestory.server.xray.serve.runtime import find
from clerestory.server.xray.terminal.client import JSON, Client, GoneError, XRayError
from clerestory.server.xray.terminal.servers import choose
from clerestory.server.xray.terminal.waits import Waits
from clerestory.server.xray.workers import sums, waits

T = TypeVar("T")

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*", re.ASCII)

ONE = "/connections/"
"""What the paths of what is one server's begin with."""


class Server:
    """One of a fleet: `client` asks it, `key` is its name."""

    def __init__(self, key: str, client: Client) -> None:
        self.key = key
        self.client = client

    @property
    def title(self) -> str:
        """As sums.Part.title."""
        return self.key

    @property
    def origin(self) -> JSON:
        """As sums.Part.origin."""
        return {"server": self.key}


class Fleet:
    """The x-rays of `servers`, as one (client.XRay)."""

    def __init__(self, servers: Sequence[Server], pause: Waits) -> None:
        self.servers = servers
        self.address = f"{len(servers)} servers"
        self._pause = pause

    def close(self) -> None:
        """As XRay.close."""
        for server in self.servers:
            server.client.close()

    # --- one of them

    def one(self, identity: str, *, secrets: bool = False) -> JSON:
        """As XRay.one."""
        server, local = self._owner(identity)
        return sums.mark(server, server.client.one(local, secrets=secrets))

    def export(self, identity: str, form: str, *, secrets: bool = False) -> str:
        """As XRay.export."""
        server, local = self._owner(identity)
        return server.client.export(local, form, secrets=secrets)

    def _owner(self, identity: str) -> tuple[Server, str]:
        """Whose machine that is, and what it is called there. Raises GoneError."""
        for server in self.servers:
            if identity.startswith(f"{server.key}:"):
                return server, identity.removeprefix(f"{server.key}:")
        names = ", ".join(server.key for server in self.servers)
        raise GoneError(f"{identity}: write the server's name, a colon, and the id; the servers are {names}")

    # --- all of them

    def get(self, path: str, parameters: Mapping[str, object] | None = None) -> JSON:
        """As XRay.get."""
        given = dict(parameters or {})
        if path == "/snapshot.json":
            return self._summary()
        if path == "/connections.json":
            return self._listed(given)
        if path == "/waits.json":
            return self._waits(given)
        said, _ = self._said("GET", path, given)
        return said[0][1]

    def post(self, path: str, parameters: Mapping[str, object] | None = None) -> JSON:
        """As XRay.post."""
        if path.startswith(ONE):
            identity = unquote(path.removeprefix(ONE).removesuffix("/close"))
            server, local = self._owner(identity)
            done = server.client.post(f"{ONE}{quote(local, safe=':')}/close", parameters)
            return done | {name: [sums.whole_id(server, one) for one in done[name]] for name in ("closed", "failed")}
        if path != "/close":
            raise XRayError("a page shows one server: say which, by --xray")
        said, silent = self._said("POST", path, dict(parameters or {}))
        if silent and not sums.closed(said)["dry_run"]:
            raise XRayError("; ".join(silent))
        return sums.closed(said)

    def _summary(self) -> JSON:
        said, silent = self._said("GET", "/snapshot.json", {"buckets": "1"})
        found = sums.summary(_nothing(said), said)
        about: JSON = {"kind": "silent", "level": "critical", "connections": [], "seconds": None}
        found["banners"] = [
            *(about | {"text": f"{text}. What it holds is not shown."} for text in silent),
            *found["banners"],
        ]
        found["workers"] = [
            worker | {"worker": sums.whole_id(server, worker["worker"])}
            for server, document in said
            for worker in document.get("workers", ())
        ]
        return found

    def _listed(self, given: dict[str, object]) -> JSON:
        limit, offset = int(str(given.get("limit", USUAL))), int(str(given.get("offset", 0)))
        said, _ = self._said("GET", "/connections.json", given | {"limit": limit + offset, "offset": ""})
        own: JSON = {"rows": [], "now": said[0][1]["now"], "consistent": True, "total": 0, "matched": 0, "groups": None}
        members, rows = sums.listed(own, said, str(given.get("sort", "wait")), limit, offset)
        return members | {"rows": rows}

    def _waits(self, given: dict[str, object]) -> JSON:
        example = str(given.get("example", ""))
        if example:
            server, local = self._owner(example)
            return sums.mark(server, server.client.get("/waits.json", given | {"example": local}))
        said, _ = self._said("GET", "/waits.json", given | {"classes": "1"})
        return waits.waits({"now": said[0][1]["now"], "seconds": 0.0}, said)

    def _said(self, method: str, path: str, given: dict[str, object]) -> tuple[list[tuple[Server, JSON]], list[str]]:
        """What those say that answer, and why the others do not. Raises XRayError where none answers."""
        said: list[tuple[Server, JSON]] = []
        silent = []

        def ask(server: Server) -> JSON | XRayError:
            try:
                return server.client.get(path, given) if method == "GET" else server.client.post(path, given)
            except XRayError as error:
                return error

        for server, answer in zip(self.servers, self._at_once(ask), strict=True):
            if isinstance(answer, XRayError):
                silent.append(f"{server.key}: {answer}")
            else:
                said.append((server, answer))
        if not said:
            raise XRayError("; ".join(silent))
        return said, silent

    def _at_once(self, ask: Callable[[Server], T]) -> list[T]:
        """What `ask` returns for each server, all asked at the same time; a signal ends the waiting."""
        futures: list[Future[T]] = []
        reading, writing = socket.socketpair()

        def answer(future: Future[T], server: Server) -> None:
            try:
                future.set_result(ask(server))
            except BaseException as error:  # noqa: BLE001 - it is raised where it is waited for
                future.set_exception(error)
            with suppress(OSError):  # where a signal has ended the waiting
                writing.send(b".")

        with reading, writing:
            for server in self.servers:
                futures.append(Future())
                threading.Thread(target=answer, args=(futures[-1], server), daemon=True).start()
            while not all(future.done() for future in futures):
                if self._pause.wait(reading.fileno(), READABLE, None):
                    reading.recv(4096)
        return [future.result() for future in futures]


def _nothing(said: Sequence[tuple[Server, JSON]]) -> JSON:
    """A summary to which those of servers are added."""
    first: dict[str, Any] = said[0][1]
    serving = sorted({document["serving"] for _, document in said if document["serving"]})
    return first | {
        "consistent": True,
        "serving": ", ".join(serving),
        "uptime": min(document["uptime"] for _, document in said),
        "loop": {"lag": 0.0, "pause": 0.0, "turns": 0, "blocked": None},
        "banners": [],
        "totals": {"accepted": 0, "requests": 0, "bytes_in": 0, "bytes_out": 0, "statuses": {}, "ends": []},
        **{name: {} for name in ("machines", "edges", "dwell")},
        "rows": [],
    }


def servers_of(text: str) -> list[Server]:
    """Those that `text` names: addresses with commas between them, or a file. Raises XRayError."""
    named = [("", address) for address in text.split(",")] if "," in text else _from_file(text) or [("", text)]
    names = _names([address for _, address in named])
    servers = [
        Server(name or found, choose(address, running=find()))
        for (name, address), found in zip(named, names, strict=True)
    ]
    keys = [server.key for server in servers]
    twice = next((key for key in keys if keys.count(key) > 1), "")
    if twice:
        raise XRayError(f"two servers of the fleet are called {twice}")
    return servers


def _from_file(path: str) -> list[tuple[str, str]]:
    """Name ("" for none) and address in each line of a file; none where there is no such file. Raises XRayError."""
    try:
        with open(path, encoding="utf-8") as file:
            lines = [line.partition("#")[0].split() for line in file]
    except FileNotFoundError:
        return []
    except (OSError, UnicodeError) as error:
        raise XRayError(f"{path}: {error}") from error
    found = []
    for number, words in enumerate(lines, 1):
        if len(words) > 2 or (len(words) == 2 and not _NAME.fullmatch(words[0])):
            raise XRayError(f"{path}:{number}: write a name and the address of an x-ray, such as web1 10.0.0.1:8001")
        if words:
            found.append((words[0] if len(words) == 2 else "", words[-1]))
    if not found:
        raise XRayError(f"{path} names no server: write a name and the address of an x-ray in each line")
    return found


def _names(addresses: Sequence[str]) -> list[str]:
    """A name for each: its host, where no two have the same; else the whole address."""
    plain = [address.removeprefix("http://").strip("/").removeprefix("unix:") for address in addresses]
    hosts = [one.rpartition("/")[2] if "/" in one else one.rpartition(":")[0] for one in plain]
    return (
        hosts if all(hosts) and len(set(hosts)) == len(hosts) else [one.strip("/").replace("/", "-") for one in plain]
    )
