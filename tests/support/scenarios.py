"""The scripted scenarios that the x-ray is proved by, and that the how-tos of docs/ are written with.

Each serves a shop (tests.support.shop) in a process of its own, brings about one trouble, and leaves it standing while
commands are run as a person at a terminal would type them. The server is found by its runtime file.

`python -m tests.support.scenarios` writes the output of the commands in docs/ anew.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.support.client import Client, request
from tests.support.server import DISASTERS, ROOT, ServerProcess
from tests.support.waiting import eventually

DOCS = ROOT / "docs"
SHOWN = "/srv/shop"
"""Where the shop is, as far as the reader is concerned."""

BLOCK = re.compile(r"(<!-- scenario: ([a-z-]+) -->\n```console\n)(.*?)(```\n)", re.DOTALL)


class Stage:
    """A shop that is open, its customers, and somebody at a terminal."""

    def __init__(self, folder: Path, *options: str) -> None:
        shutil.copy(ROOT / "tests/support/shop.py", folder)
        self.folder = folder
        self.printer = folder / "printer"
        os.mkfifo(self.printer)
        self.environment = {
            "XDG_RUNTIME_DIR": str(folder),
            "TMPDIR": str(folder),
            "PYTHONPATH": f"{folder}{os.pathsep}{ROOT}",
            "SHOP_PRINTER": str(self.printer),
        }
        self.server = ServerProcess(
            "--no-access-log",
            "--xray",
            f"unix:{folder}/x",
            *options,
            target="shop:router",
            environment=self.environment,
        )
        self.customers: list[Client] = []

    def customer(self, data: bytes = b"", window: int | None = None) -> Client:
        """Somebody who connects and sends `data`; the next one comes after."""
        client = Client(self.server.address, data=data, window=window)
        self.customers.append(client)
        return client

    def buyer(self) -> Client:
        """Somebody who has been answered, and keeps the connection."""
        client = self.customer()
        assert client.get("/products/7").status == 200
        return client

    def run(self, command: str) -> str:
        """What `command` prints, on both streams, as the reader sees it."""
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        environment = {name: value for name, value in os.environ.items() if not name.startswith("CLERESTORY")}
        done = subprocess.run(
            ["sh", "-c", command],
            cwd=ROOT,
            env=environment | self.environment | {"PATH": path},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=60,
            check=False,
        )
        return done.stdout.decode().replace(str(self.folder), SHOWN).replace(f"{self.folder.name}/", "shop/")

    def see(self, command: str, *words: str) -> str:
        """What `command` prints, once all of `words` are in it."""

        def printed() -> str:
            text = self.run(command)
            return text if all(word in text for word in words) else ""

        return eventually(printed, what=f"{words} in what {command} prints")

    def close(self) -> None:
        """Send everybody home. Whatever the trouble was, no machine has crashed."""
        for customer in self.customers:
            customer.close()
        if self.server.running:
            self.server.kill()
        self.server.wait()
        assert self.server.noise == []
        assert [line for line in self.server.log if line["event"] in DISASTERS] == []


# --- what each scenario brings about


def slow_headers(stage: Stage) -> None:
    """Four heads that do not end, one of which drips."""
    for number in range(3):
        stage.customer(b"GET /products/7 HTTP/1.1\r\nHost: shop\r\nX-%d: " % number)
    dripping = stage.customer(b"GET /products/7 HTTP/1.1\r\n")
    for _ in range(5):
        dripping.send(b"Via: 1\r\n")
    stage.buyer()
    stage.see("clerestory ps --state reading_head", "\n4 ")


def pre_connection(stage: Stage) -> None:
    """A connection that a browser has opened and not used."""
    stage.customer()
    stage.see("clerestory ps", "AWAITING_REQUEST")


def stuck_backend(stage: Stage) -> None:
    """Two requests that wait for a database."""
    for number in (41, 42):
        stage.customer(request(f"/orders/{number}?customer=ada"))
    stage.see("clerestory ps --older 0.5", "\n1 ", "\n2 ", "RUNNING find_order")


def slow_reader(stage: Stage) -> None:
    """A client that does not read what it has asked for."""
    stage.buyer()
    stage.customer(request("/export"), window=4096)
    stage.see("clerestory ps --state sending_response --older 0.5", "\n2 ")


def blocked_loop(stage: Stage) -> None:
    """A handler that waits on the loop's thread, and somebody behind it."""
    stage.buyer()
    stage.customer(request("/label"))
    stage.see("clerestory ps", "blocked for", "in label")
    stage.customer(request("/products/7"))


def held_drain(stage: Stage) -> None:
    """A shutdown that waits for one client, which reads nothing."""
    stage.buyer()
    stage.customer(request("/export"), window=4096)
    stage.see("clerestory ps --state sending_response --older 0.5", "\n2 ")
    stage.server.signal(signal.SIGTERM)
    stage.see("clerestory ps", "Shutting down for", "waiting for 1 connection")


def missed_request(stage: Stage) -> None:
    """A client that sends just after the server has given its idle connection up."""
    client = stage.buyer()
    assert client.socket.recv(1) == b""  # our close is on its way to the client; one that is not so quick sends now
    client.send(request("/products/8"))
    stage.server.wait_for("request_missed")
    client.close()
    stage.see("clerestory show 1", "ended by")


def leak(stage: Stage) -> None:
    """Ninety-three connections that somebody has opened, used once and forgotten."""
    for _ in range(93):
        stage.buyer()
    stage.see("clerestory ps --state awaiting_request --older 1 --limit 1", "\n1 ")


Arrange = Callable[[Stage], None]


def slow_route(stage: Stage) -> None:
    """Two requests that the database has kept waiting, and that are answered by now."""
    for number in (41, 42):
        stage.customer(request(f"/orders/{number}?customer=ada"))
    stage.see("clerestory ps --older 2", "\n1 ", "\n2 ", "RUNNING find_order")
    assert stage.customer().get("/warehouse", method="POST").status == 200
    for customer in stage.customers[:2]:
        assert customer.answer().status == 200
    stage.see("clerestory waits --route /orders", "  2  ")


SCENARIOS: dict[str, tuple[Arrange, tuple[str, ...]]] = {
    "slow-headers": (slow_headers, ("--head-timeout", "30")),
    "pre-connection": (pre_connection, ()),
    "stuck-backend": (stuck_backend, ()),
    "slow-route": (slow_route, ()),
    "slow-reader": (slow_reader, ()),
    "blocked-loop": (blocked_loop, ()),
    "held-drain": (held_drain, ()),
    "missed-request": (missed_request, ("--keep-alive-timeout", "1")),
    "leak": (leak, ("--max-connections", "100", "--keep-alive-timeout", "300")),
}
"""By name: what brings it about, and the server's options."""


@contextmanager
def scenario(name: str, *choices: str) -> Iterator[Stage]:
    """The stage, while the trouble stands."""
    arrange, options = SCENARIOS[name]
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="shop"))
        stage = Stage(Path(folder), *options, *choices)
        stack.callback(stage.close)
        arrange(stage)
        yield stage


# --- the how-tos


def blocks(text: str) -> dict[str, list[str]]:
    """By scenario: the blocks of a document, which are commands with their output, in order."""
    found: dict[str, list[str]] = {}
    for match in BLOCK.finditer(text):
        found.setdefault(match[2], []).append(match[3])
    return found


def commands(block: str) -> list[tuple[str, str]]:
    """The commands of a block, each with what it is said to print."""
    parts = re.split(r"(?m)^\$ (.*)\n", block)
    return list(zip(parts[1::2], parts[2::2], strict=True))


def figureless(text: str) -> str:
    """`text` with figures normalised: ports, times, counts, and the room that they take."""
    text = re.sub(r"(\d+ min \d+|\d+ h \d+|[\d,.]*\d) (s|ms|min)\b", "TIME", text)
    text = re.sub(r"date: [^\n]* GMT", "date: THEN", text)
    text = re.sub(r"127\.0\.0\.1:\d+", "PEER", text)
    text = re.sub(r"\b[0-9a-f]{8}-(\d+-\d+)", r"RUN-\1", text)
    text = re.sub(r"[\d,]*\d(\.\d+)?( k?M?G?B\b)?", "N", text)
    return re.sub(r"#+", "#", re.sub(r"[ \n]+", " ", text)).replace("# ", "").strip()


def rewritten(text: str) -> str:
    """A document with what its commands print now."""
    printed: dict[str, list[str]] = {}
    for name, found in blocks(text).items():
        with scenario(name) as stage:
            printed[name] = [
                "".join(f"$ {command}\n{stage.run(command)}" for command, _ in commands(block)) for block in found
            ]
    return BLOCK.sub(lambda match: match[1] + printed[match[2]].pop(0) + match[4], text)


def write(folder: Path = DOCS) -> None:
    """Write the output in every document anew."""
    for path in sorted(folder.glob("*.md")):
        path.write_text(rewritten(path.read_text()))


if __name__ == "__main__":
    write()
