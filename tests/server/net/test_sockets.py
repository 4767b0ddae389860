"""Listening sockets: where they are bound, what they are called, and what is not ours to end."""

import errno
import os
import socket
import stat
from pathlib import Path
from typing import Any

import pytest

from clerestory.server.net.addresses import Address, parse
from clerestory.server.net.sockets import (
    NotListeningError,
    OpenError,
    SocketFile,
    adopt,
    from_systemd,
    listen,
    listen_everywhere,
    name_of,
    open_all,
    open_one,
    peer_name,
    remove_stale,
)

pytestmark = pytest.mark.usefixtures("every_descriptor_back")


# --- internet addresses


def test_a_free_port_is_taken_and_told() -> None:
    with listen("127.0.0.1", 0) as listening:
        host, port = listening.getsockname()
        assert name_of(listening) == f"{host}:{port}"
        assert not listening.getblocking()


def test_a_system_that_can_not_bound_what_is_not_sent_listens_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(socket, "TCP_NOTSENT_LOWAT", raising=False)
    listen("127.0.0.1", 0).close()


def test_a_name_is_resolved() -> None:
    with listen("localhost", 0) as listening:
        assert listening.family in (socket.AF_INET, socket.AF_INET6)


def test_a_name_is_listened_on_at_all_its_addresses_on_the_same_port(monkeypatch: pytest.MonkeyPatch) -> None:
    """`localhost` is ::1 and 127.0.0.1 on most systems: a client may try either. One that is not there is left out."""
    given = [
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0)),
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", 0)),
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.2", 0)),
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0)),
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: given)
    sockets = listen_everywhere("localhost", 0)
    port = sockets[0].getsockname()[1]
    assert [one.getsockname() for one in sockets] == [("127.0.0.1", port), ("127.0.0.2", port)]
    given[0] = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.3", port))
    given[2] = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.2", port))
    with pytest.raises(OSError, match="in use"):
        listen_everywhere("localhost", port)
    del given[0], given[1:]
    with pytest.raises(OSError, match="assign"):
        listen_everywhere("localhost", 0)
    for one in sockets:
        one.close()


def test_an_ipv6_address_is_written_in_brackets() -> None:
    if not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    try:
        listening = listen("::1", 0)
    except OSError:
        pytest.skip("no IPv6 here")
    with listening:
        assert name_of(listening) == f"[::1]:{listening.getsockname()[1]}"


def test_an_address_that_is_taken_is_an_error_and_leaves_nothing_open() -> None:
    with listen("127.0.0.1", 0) as listening, pytest.raises(OSError, match="in use"):
        listen("127.0.0.1", listening.getsockname()[1])


def test_a_host_that_is_none_is_an_error() -> None:
    with pytest.raises(socket.gaierror):
        listen("999.999.999.999", 0)


@pytest.mark.parametrize(("text", "only", "serves"), [("[::]:0", 0, True), ("[::]:0,v6only", 1, False)])
def test_whether_an_ipv6_socket_takes_ipv4_too_is_said_and_not_left_to_the_system(
    text: str, only: int, serves: bool
) -> None:
    if not socket.has_dualstack_ipv6():
        pytest.skip("no IPv6 here")
    (opened,) = open_one(parse(text))
    with opened.socket as listening:
        assert listening.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY) == only
        with socket.socket() as client:
            assert (client.connect_ex(("127.0.0.1", listening.getsockname()[1])) == 0) is serves


def test_a_star_is_every_address_of_both_families_on_the_same_port() -> None:
    opened = open_one(parse("*:0"))
    port = opened[0].socket.getsockname()[1]
    wanted = [f"0.0.0.0:{port}", f"[::]:{port}"] if socket.has_dualstack_ipv6() else [f"0.0.0.0:{port}"]
    assert [one.name for one in opened] == wanted
    for one in opened:
        one.close()


@pytest.mark.parametrize(
    ("address", "name"),
    [
        (("127.0.0.1", 80), "127.0.0.1:80"),
        (("::1", 80, 0, 0), "[::1]:80"),
        (("::ffff:192.0.2.1", 80, 0, 0), "192.0.2.1:80"),
        ("", "unix"),
        ("/run/x", "/run/x"),
    ],
)
def test_an_ipv4_client_of_an_ipv6_socket_is_called_as_it_is(address: object, name: str) -> None:
    """Networks that are trusted are IPv4's own, so ::ffff:10.0.0.1 must not look like another address."""
    assert peer_name(address) == name


def test_when_one_address_cannot_be_had_none_is_kept(tmp_path: Path) -> None:
    with listen("127.0.0.1", 0) as taken:
        there = Address("127.0.0.1", taken.getsockname()[1])
        with pytest.raises(OpenError, match="in use") as raised:
            open_all([Address("127.0.0.1", 0), Address(path=str(tmp_path / "s")), there])
    assert raised.value.address == there
    assert list(tmp_path.iterdir()) == []


# --- Unix sockets


def test_a_unix_socket_has_the_mode_that_was_asked_for_and_its_file_goes_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "s"
    (opened,) = open_one(Address(path=str(path), mode=0o620))
    assert (opened.name, stat.S_IMODE(path.stat().st_mode)) == (f"unix:{path}", 0o620)
    assert not opened.socket.getblocking()
    opened.close()
    assert not path.exists()


def test_without_a_mode_the_umask_decides(tmp_path: Path) -> None:
    path = tmp_path / "s"
    before = os.umask(0o027)
    try:
        (opened,) = open_one(Address(path=str(path)))
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    opened.close()


def test_a_unix_socket_is_given_to_its_owner(tmp_path: Path) -> None:
    path = tmp_path / "s"
    (opened,) = open_one(Address(path=str(path), owner=f"{os.getuid()}:{os.getgid()}"))
    opened.close()
    if os.geteuid() == 0:
        (opened,) = open_one(Address(path=str(path), owner="nobody:12345"))
        assert (path.stat().st_uid, path.stat().st_gid) == (65534, 12345)
        opened.close()


@pytest.mark.parametrize("owner", ["no-such-user", ":no-such-group"])
def test_an_owner_that_there_is_not_is_an_error_and_leaves_no_file(owner: str, tmp_path: Path) -> None:
    with pytest.raises(OSError, match="owner="):
        open_one(Address(path=str(tmp_path / "s"), owner=owner))
    assert list(tmp_path.iterdir()) == []


def test_a_stale_file_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    (opened,) = open_one(Address(path=str(path)))
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
    opened.close()


def test_a_live_socket_is_not_replaced(tmp_path: Path) -> None:
    address = Address(path=str(tmp_path / "s"))
    (opened,) = open_one(address)
    with pytest.raises(OSError, match="in use"):
        open_one(address)
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(address.path)
    opened.close()


def test_a_live_socket_whose_backlog_is_full_is_not_replaced(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as busy, socket.socket(socket.AF_UNIX) as client:
        busy.bind(path)
        busy.listen(0)
        client.connect(path)
        with pytest.raises(OSError, match="in use"):
            remove_stale(path)
    assert os.path.exists(path)


def test_what_is_no_socket_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "s").write_text("mine")
    with pytest.raises(FileExistsError):
        open_one(Address(path=str(tmp_path / "s")))
    assert (tmp_path / "s").read_text() == "mine"


def test_a_file_that_has_become_anothers_is_not_removed(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        file = SocketFile.of(listening)
        path.rename(tmp_path / "kept")
        path.write_text("another's")
    file.remove()
    assert path.exists()


# --- sockets of others


def test_an_inherited_socket_is_taken_and_is_shared() -> None:
    with socket.create_server(("127.0.0.1", 0)) as theirs:
        name = name_of(theirs)
        opened = adopt(theirs.dup().detach(), "web")
        assert (opened.name, opened.label, opened.shared, opened.file) == (name, "web", True, None)
        assert not os.get_inheritable(opened.socket.fileno())
        opened.close()


def _pipe() -> int:
    reading, writing = os.pipe()
    os.close(writing)
    return reading


def _datagrams() -> int:
    return socket.socket(socket.AF_INET, socket.SOCK_DGRAM).detach()


def _connected() -> int:
    one, other = socket.socketpair()
    other.close()
    return one.detach()


REFUSED = [(_pipe, "not a socket"), (_datagrams, "no stream"), (_connected, "not listen")]


@pytest.mark.parametrize(("make", "said"), REFUSED)
def test_an_inherited_descriptor_that_does_not_listen_is_an_error(make: Any, said: str) -> None:
    descriptor = make()
    with pytest.raises(NotListeningError, match=said):
        adopt(descriptor)
    os.close(descriptor)


def test_a_descriptor_that_there_is_not_is_an_error() -> None:
    with pytest.raises(OpenError, match="Bad file descriptor") as raised:
        open_all([Address(descriptor=999_999)])
    assert isinstance(raised.value.cause, OSError)
    assert raised.value.cause.errno == errno.EBADF


def test_systemds_sockets_are_those_of_the_process_that_it_has_started() -> None:
    with pytest.raises(NotListeningError, match="LISTEN_FDS"):
        from_systemd({"LISTEN_FDS": "1", "LISTEN_PID": "1"}, 2)
    with pytest.raises(NotListeningError, match="LISTEN_FDS"):
        from_systemd({}, 2)


def test_systemds_variables_are_removed_so_that_no_child_takes_them_for_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    taken: list[Any] = []

    def adopt(*words: Any) -> Any:
        taken.append(words)
        return words[1]

    monkeypatch.setattr("clerestory.server.net.sockets.adopt", adopt)
    variables = {"LISTEN_FDS": "3", "LISTEN_PID": "7", "LISTEN_FDNAMES": "http:admin", "HOME": "/"}
    found: list[Any] = [*from_systemd(variables, 7)]
    assert found == ["http", "admin", ""]
    assert taken == [(3, "http"), (4, "admin"), (5, "")]
    assert variables == {"HOME": "/"}
