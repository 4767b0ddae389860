"""A certificate for development, made by what is there."""

import os
import ssl
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from clerestory.server.net.certificates import read_certificate
from clerestory.server.net.self_signed import NothingMakesOneError, as_file, from_memory, in_memory, make, names_for

NOW = datetime.now(UTC)


@pytest.mark.parametrize(
    ("host", "names"),
    [
        ("127.0.0.1", ["localhost", "127.0.0.1", "::1"]),
        ("0.0.0.0", ["localhost", "127.0.0.1", "::1"]),
        ("dev.example", ["dev.example", "localhost", "127.0.0.1", "::1"]),
        ("192.0.2.1", ["192.0.2.1", "localhost", "127.0.0.1", "::1"]),
    ],
)
def test_it_is_for_this_machine_and_the_host_that_is_listened_on(host: str, names: list[str]) -> None:
    assert names_for(host) == names


@pytest.mark.parametrize("maker", ["command", "package"])
def test_what_is_there_makes_a_key_and_a_certificate_that_fit(maker: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if maker == "package":
        pytest.importorskip("cryptography")
        monkeypatch.setattr("shutil.which", lambda _: None)
    pem = make(["localhost", "::1"], NOW)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with as_file(pem) as file:
        context.load_cert_chain(file)
    text = pem.decode()
    certificate = text[text.index(ssl.PEM_HEADER) :]
    found = read_certificate(ssl.PEM_cert_to_DER_cert(certificate))
    assert set(found.names) == {"localhost", "::1"}
    assert found.until > NOW


def test_where_nothing_makes_one_that_is_said_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda _: None)
    monkeypatch.setitem(sys.modules, "cryptography", None)
    with pytest.raises(NothingMakesOneError, match="install one of them, or name files with --tls-certificate"):
        make(["localhost"], NOW)


def test_a_command_that_fails_leaves_it_to_the_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    broken = tmp_path / "openssl"
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o700)
    monkeypatch.setattr("shutil.which", lambda _: str(broken))
    assert b"BEGIN CERTIFICATE" in make(["localhost"], NOW)


def test_the_file_needs_no_directory_that_is_writable() -> None:
    with as_file(b"content") as file:
        assert Path(file).read_bytes() == b"content"
        assert not file.startswith("/tmp")


def test_it_is_handed_to_other_processes_in_memory() -> None:
    descriptor = in_memory(b"content")
    assert not os.get_inheritable(descriptor)
    for _ in range(2):  # each reads it from its beginning, wherever others have read to
        assert from_memory(os.dup(descriptor)) == b"content"
    os.close(descriptor)
