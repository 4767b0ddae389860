"""Certificates of several workers: one that is made is the same in all of them; new files come with a reload."""

import shutil
import signal
import ssl
from pathlib import Path

from tests.conftest import Start
from tests.e2e.workers.fleet import pids
from tests.support.certificates import HOST, Authority
from tests.support.client import Client
from tests.support.server import ServerProcess
from tests.support.waiting import eventually


def shown(server: ServerProcess) -> str:
    """The certificate that a client is shown, as it is in PEM."""
    return ssl.get_server_certificate(server.address, timeout=30)


def test_one_that_is_made_is_shown_by_all_workers_of_all_generations(start: Start) -> None:
    server = start("--workers", "2", "--no-xray", "--tls-self-signed")
    first = {shown(server) for _ in range(10)}
    assert len(first) == 1
    made = server.wait_for("certificate_made")
    assert made["names"] == ["localhost", "127.0.0.1", "::1"]
    server.signal(signal.SIGHUP)
    server.wait_for("reloaded", patience=60)
    eventually(lambda: len(pids(server)) == 2, 60, "the end of the old generation")
    assert {shown(server) for _ in range(10)} == first
    assert len(server.events("certificate_made")) == 1


def test_a_reload_brings_new_files_and_bad_ones_change_nothing(
    start: Start, authority: Authority, tmp_path: Path
) -> None:
    files = tmp_path / "cert.pem", tmp_path / "key.pem"

    def place(*names: str) -> None:
        for source, target in zip(authority.issue(HOST, *names), files, strict=True):
            shutil.copy(source, target)

    place("before.example")
    options = ("--workers", "1", "--no-xray", "--tls-certificate", str(files[0]), "--tls-key", str(files[1]))
    server = start(*options, trusting=authority.client())

    def names() -> set[str]:
        with Client(server.address) as client:
            found = client.socket.getpeercert()  # type: ignore[attr-defined]
            return {value for _, value in found["subjectAltName"]}

    assert "before.example" in names()
    place("after.example")
    server.signal(signal.SIGHUP)
    server.wait_for("reloaded", patience=60)
    assert "after.example" in names()
    files[0].write_text("nonsense")
    server.signal(signal.SIGHUP)
    server.wait_for("reload_failed", patience=60)
    assert "after.example" in names()
    assert any("there is no certificate in PEM in it" in line for line in server.noise)
    server.noise.clear()
