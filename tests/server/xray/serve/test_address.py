"""Where the x-ray is served: what an address is, and what a Unix socket allows to whom."""

import os
import socket
import stat
from pathlib import Path

import pytest

from clerestory.server.net.sockets import SocketFile, listen
from clerestory.server.xray.serve import address
from clerestory.server.xray.serve.address import (
    Address,
    AddressError,
    bind,
    bind_usual,
    is_local,
    parse,
    url_of,
)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("127.0.0.1:8001", Address("127.0.0.1", 8001)),
        ("localhost:0", Address("localhost", 0)),
        ("[::1]:65535", Address("::1", 65535)),
        ("unix:/run/x.sock", Address(path="/run/x.sock")),
        ("unix:x.sock", Address(path="x.sock")),
    ],
)
def test_an_address_is_read_and_written_the_same(text: str, found: Address) -> None:
    assert parse(text) == found
    assert str(found) == text


@pytest.mark.parametrize(
    "text", ["", "8001", ":8001", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "::1:8001", "a b:1", "x:1/", "unix:"]
)
def test_what_is_no_address_is_told_how_to_write_one(text: str) -> None:
    with pytest.raises(AddressError, match="write"):
        parse(text)


def test_a_path_that_a_socket_can_not_have_is_refused() -> None:
    assert parse("unix:/" + "a" * 99).path
    with pytest.raises(AddressError, match="at most 100 bytes"):
        parse("unix:/" + "a" * 100)


def test_a_unix_socket_is_for_its_user_alone(tmp_path: Path) -> None:
    path, mask = tmp_path / "x.sock", os.umask(0)
    try:
        with bind(Address(path=str(path))) as listening:
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
            assert url_of(listening) == f"unix:{path}"
            assert is_local(listening)
        assert os.umask(0) == 0
    finally:
        os.umask(mask)


def test_a_relative_path_is_told_as_an_absolute_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with bind(Address(path="x.sock")) as listening:
        assert url_of(listening) == f"unix:{tmp_path}/x.sock"
        file = SocketFile.of(listening)
        monkeypatch.chdir("/")
        file.remove()
        assert not (tmp_path / "x.sock").exists()
        file.remove()


def test_a_name_that_is_anothers_by_the_end_is_left_to_it(tmp_path: Path) -> None:
    path = tmp_path / "x.sock"
    with bind(Address(path=str(path))) as listening:
        file = SocketFile.of(listening)
        path.rename(tmp_path / "aside")
        with bind(Address(path=str(path))):
            file.remove()
            assert path.exists()
        path.unlink()
        path.symlink_to(tmp_path / "aside")
        file.remove()
        assert path.is_symlink()
        assert (tmp_path / "aside").exists()


def test_a_socket_that_nobody_answers_is_replaced(tmp_path: Path) -> None:
    where = Address(path=str(tmp_path / "x.sock"))
    bind(where).close()
    assert (tmp_path / "x.sock").exists()
    with bind(where), socket.socket(socket.AF_UNIX) as client:
        client.connect(where.path)


def test_a_socket_that_somebody_answers_is_left_alone(tmp_path: Path) -> None:
    where = Address(path=str(tmp_path / "x.sock"))
    with bind(where):
        with pytest.raises(AddressError, match="Address already in use: choose another --xray address"):
            bind(where)
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(where.path)


def test_a_file_that_is_no_socket_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("precious")
    with pytest.raises(AddressError, match="which is not a socket: choose another path"):
        bind(Address(path=str(tmp_path / "x")))
    assert (tmp_path / "x").read_text() == "precious"


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(AddressError, match="No such file or directory"):
        bind(Address(path=str(tmp_path / "none" / "x.sock")))


def test_a_port_that_was_asked_for_and_is_taken_is_an_error() -> None:
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(AddressError, match=f"127.0.0.1:{port}: .*choose another --xray address"):
            bind(Address("127.0.0.1", port))


def test_the_usual_port_gives_way_to_a_free_one_where_it_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setattr(address, "USUAL", f"127.0.0.1:{port}")
        listening, usual = bind_usual()
        with listening:
            assert not usual
            assert listening.getsockname()[1] != port
    listening, usual = bind_usual()
    with listening:
        assert usual
        assert url_of(listening) == f"http://127.0.0.1:{port}/"


def test_beyond_loopback_is_beyond_this_machine() -> None:
    for host, local in (("127.0.0.1", True), ("0.0.0.0", False)):
        with listen(host, 0) as listening:
            assert is_local(listening) is local
