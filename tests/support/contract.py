"""A plug-in of pytest that holds another server to the contract of tests/e2e/hosting, for benchmarks.compatibility.

`CONTRACT_PEER` names the server, ours where it is empty; `CONTRACT_RESULTS` the file that outcomes are written to.
"""

import json
import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks.compatibility import COMMANDS, PATIENCE, ROOT, START
from tests.support import client, waiting


def pytest_configure() -> None:
    """Wait less long for what does not happen; and read what HTTP leaves open, and our own server does not use: names
    of fields and sizes of chunks in capital letters."""
    waiting.PATIENCE = PATIENCE
    eventually: Any = waiting.eventually
    eventually.__defaults__ = (PATIENCE, "")
    reading: Any = client
    reading._FIELD_LINE = _AnyCase(reading._FIELD_LINE)
    reading._CHUNK_LINE = re.compile(rb"[0-9a-fA-F]+")


class _AnyCase:
    """A field line's pattern, for names in any letters."""

    def __init__(self, pattern: re.Pattern[bytes]) -> None:
        self._pattern = pattern

    def fullmatch(self, line: bytes) -> re.Match[bytes] | None:
        name, colon, value = line.partition(b":")
        return self._pattern.fullmatch(name.lower() + colon + value)


def pytest_collection_modifyitems(items: list[Any]) -> None:
    """Have the contract's modules start the peer that the environment names."""
    peer = os.environ.get("CONTRACT_PEER", "")
    for item in items:
        module = item.module
        if peer:
            module.serving = _peer_serving(peer, "wsgi" if "wsgi" in module.__name__ else "asgi")
        item.add_marker(pytest.mark.timeout(6 * PATIENCE))


def pytest_runtest_logreport(report: Any) -> None:
    """Write down what came of a test."""
    if report.when == "call" or (report.when == "setup" and not report.passed):
        with Path(os.environ["CONTRACT_RESULTS"]).open("a") as results:
            results.write(json.dumps([report.nodeid, report.outcome]) + "\n")


def _peer_serving(peer: str, interface: str) -> Any:
    @contextmanager
    def serving(*options: str, target: str, **_: Any) -> Iterator[Any]:
        loop = options[options.index("--loop") + 1] if "--loop" in options else "asyncio"
        loop = "uvloop" if loop == "auto" else loop
        port = _free_port()
        command = [part.format(target=target, port=port, loop=loop) for part in COMMANDS[peer, interface]]
        python = os.environ["CONTRACT_PYTHON"]
        process = subprocess.Popen(
            [python, "-m", *command],
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            _await_port(port, process)
            yield SimpleNamespace(address=("127.0.0.1", port), url=f"http://127.0.0.1:{port}/", events=lambda *_: [])
        finally:
            process.terminate()
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)  # its workers, too
                process.wait()

    return serving


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _await_port(port: int, process: "subprocess.Popen[bytes]") -> None:
    limit = time.monotonic() + START
    while time.monotonic() < limit and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError(f"it does not listen: {process.args!r}")
