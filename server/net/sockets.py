"""Listening sockets: bound to an address, inherited, or handed over by systemd.

Each `Listening` is one socket with what to call it. A socket that is `shared` (inherited, or from systemd) belongs to
somebody else, too: it may be closed here, but neither shut down nor filtered, since that would end it for all.
"""

import errno
import os
import pwd
import socket
import stat
from collections.abc import Iterable, MutableMapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from clerestory.server.net.addresses import EVERYWHERE, Address, parse

BACKLOG = 4096
"""Clients that may wait to be accepted: what the kernel allows at most, unless told otherwise."""

NOT_SENT = 128 * 1024
"""Bytes that may wait in a socket's buffer without having been sent. The kernel would let megabytes gather, and report
the socket writable only when a third of them has gone: a client that reads slowly but steadily would look like one that
reads nothing."""

FIRST = 3
"""The first descriptor that systemd hands over (sd_listen_fds(3))."""


class NotListeningError(OSError):
    """An inherited descriptor is of no use; the message says why."""


class OpenError(Exception):
    """There is no listening on `address`; the `cause` says why."""

    def __init__(self, address: Address, cause: OSError | UnicodeError) -> None:
        super().__init__(f"cannot listen on {address}: {cause}")
        self.address, self.cause = address, cause


@dataclass(frozen=True, slots=True)
class SocketFile:
    """The file that a Unix socket was bound to: by its number too, for its name may be another's by the end."""

    path: str
    device: int
    number: int

    @classmethod
    def of(cls, listening: socket.socket) -> "SocketFile":
        """The file of a socket that has just been bound. Raises OSError."""
        path = os.path.abspath(listening.getsockname())
        status = os.lstat(path)
        return cls(path, status.st_dev, status.st_ino)

    def remove(self) -> None:
        """Remove it, if it is still there."""
        with suppress(OSError):
            status = os.lstat(self.path)
            if (status.st_dev, status.st_ino) == (self.device, self.number):
                os.unlink(self.path)


@dataclass(frozen=True, slots=True)
class Listening:
    """A socket that listens, and what it is called: `127.0.0.1:8000`, `[::1]:8000`, `unix:/run/app.sock`.

    `label` is the name that systemd gave it (LISTEN_FDNAMES), if it did. `file` is removed at the end.
    """

    socket: socket.socket
    name: str
    label: str = ""
    file: SocketFile | None = None
    shared: bool = False

    def close(self) -> None:
        """Give it back."""
        self.socket.close()
        if self.file is not None:
            self.file.remove()


# --- what is asked for


def open_all(addresses: Iterable[Address]) -> list[Listening]:
    """Sockets that listen on each address; a name that stands for several has a socket for each. Raises OpenError; then
    none is left open."""
    opened: list[Listening] = []
    try:
        for address in addresses:
            try:
                opened += open_one(address)
            except (OSError, UnicodeError) as error:
                raise OpenError(address, error) from error
    except OpenError:
        for listening in opened:
            listening.close()
        raise
    return opened


def open_both(addresses: Iterable[str], plain: Iterable[str]) -> tuple[list[Listening], list[Listening]]:
    """Sockets that listen on all of these addresses, as they are written, and which of them are for `plain`: the last.
    Raises OpenError."""
    opened = open_all(map(parse, addresses))
    try:
        without = open_all(map(parse, plain))
    except OpenError:
        for listening in opened:
            listening.close()
        raise
    return opened + without, without


def open_one(address: Address) -> list[Listening]:
    """Sockets that listen on `address`. Raises OSError or UnicodeError."""
    if address.path:
        return [_open_file(address)]
    if address.systemd:
        return from_systemd(os.environ, os.getpid())
    if address.descriptor is not None:
        return [adopt(address.descriptor)]
    hosts = ["0.0.0.0", "::"] if address.host == EVERYWHERE else [address.host]
    sockets = listen_everywhere(hosts, address.port, v6only=address.v6only)
    return [Listening(one, name_of(one)) for one in sockets]


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens there, on the first address that `host` stands for; `port` 0 takes a free one. Raises
    OSError."""
    family, address = _addresses(host, port)[0]
    return _listen(family, address, v6only=False)


def listen_everywhere(hosts: Iterable[str], port: int, *, v6only: bool = False) -> list[socket.socket]:
    """Sockets that listen there, one for each address that `hosts` stand for; `port` 0 takes a free one, the same for
    all. An address that this system does not have is left out while there is another. Raises OSError.
    """
    addresses = list(dict.fromkeys(found for host in hosts for found in _addresses(host, port)))
    sockets: list[socket.socket] = []
    missing: OSError | None = None
    try:
        for family, address in addresses:
            if sockets and not port:
                address = (address[0], sockets[0].getsockname()[1], *address[2:])
            try:
                sockets.append(_listen(family, address, v6only=v6only or len(addresses) > 1))
            except OSError as error:
                if error.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                    raise
                missing = error
        if missing is not None and not sockets:
            raise missing
    except OSError:
        for listening in sockets:
            listening.close()
        raise
    return sockets


def _addresses(host: str, port: int) -> list[tuple[int, Any]]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    return list(dict.fromkeys((int(family), address) for family, _, _, _, address in found))


def _listen(family: int, address: Any, *, v6only: bool) -> socket.socket:
    """Its options are inherited by what is accepted. TCP_NODELAY: an answer goes out whole, so waiting for more would
    only delay it. IPV6_V6ONLY is always said: its default is the system's (net.ipv6.bindv6only)."""
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(v6only))
        _tune(listening)
        listening.bind(address)
        listening.listen(BACKLOG)
        listening.setblocking(False)
    except OSError:
        listening.close()
        raise
    return listening


def _tune(listening: socket.socket) -> None:
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if hasattr(socket, "TCP_NOTSENT_LOWAT"):
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, NOT_SENT)


# --- Unix sockets


def _open_file(address: Address) -> Listening:
    """Bind a Unix socket, in the place of one that nobody answers any more.

    Until its mode and owner are what was asked for, only our own user may connect.
    """
    remove_stale(address.path)
    listening = socket.socket(socket.AF_UNIX)
    file: SocketFile | None = None
    before = os.umask(0o177)
    try:
        try:
            listening.bind(address.path)
        finally:
            os.umask(before)
        file = SocketFile.of(listening)
        if address.owner:
            os.chown(address.path, *_ids(address.owner))
        os.chmod(address.path, 0o666 & ~before if address.mode is None else address.mode)
        listening.listen(BACKLOG)
        listening.setblocking(False)
    except OSError:
        listening.close()
        if file is not None:
            file.remove()
        raise
    return Listening(listening, f"unix:{address.path}", file=file)


def _ids(owner: str) -> tuple[int, int]:
    """The numbers of USER:GROUP; -1 leaves one as it is. Raises OSError for a name that there is not."""
    import grp

    user, _, group = owner.partition(":")
    try:
        return (
            -1 if not user else int(user) if user.isdigit() else pwd.getpwnam(user).pw_uid,
            -1 if not group else int(group) if group.isdigit() else grp.getgrnam(group).gr_gid,
        )
    except KeyError as error:
        raise OSError(errno.EINVAL, f"owner={owner}: {error.args[0]}") from error


def remove_stale(path: str) -> None:
    """Remove a socket's file that nobody listens on any more. Raises OSError (EADDRINUSE, EEXIST) where somebody does,
    or where the file is no socket."""
    try:
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            raise FileExistsError(errno.EEXIST, "there is a file of that name which is not a socket")
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX) as probe:
        probe.setblocking(False)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            with suppress(FileNotFoundError):
                os.unlink(path)
            return
        except FileNotFoundError:
            return
        except BlockingIOError:
            pass  # its backlog is full, so somebody is there
    raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))


# --- sockets of others


def adopt(descriptor: int, label: str = "") -> Listening:
    """An inherited socket that listens. Raises NotListeningError."""
    try:
        listening = socket.socket(fileno=descriptor)
    except OSError as error:
        raise NotListeningError(error.errno, f"descriptor {descriptor} is not a socket: {error.strerror}") from error
    why = ""
    if listening.type != socket.SOCK_STREAM:
        why = "is no stream socket"
    elif not listening.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        why = "does not listen"
    if why:
        listening.detach()  # it is not ours
        raise NotListeningError(errno.EINVAL, f"descriptor {descriptor} {why}")
    listening.set_inheritable(False)
    if listening.family in (socket.AF_INET, socket.AF_INET6):
        _tune(listening)
    listening.setblocking(False)
    return Listening(listening, name_of(listening), label, shared=True)


def from_systemd(variables: MutableMapping[str, str], own: int) -> list[Listening]:
    """The sockets that systemd has handed to the process `own` (sd_listen_fds(3)); the variables are removed, so that
    no child takes them for its own. Raises NotListeningError."""
    count, pid = variables.get("LISTEN_FDS", ""), variables.get("LISTEN_PID", "")
    names = variables.get("LISTEN_FDNAMES", "").split(":")
    if not count.isdigit() or pid != str(own):
        raise NotListeningError(errno.ENOTCONN, "systemd has not handed over any socket to this process (LISTEN_FDS)")
    for name in ("LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "LISTEN_PIDFDID"):
        variables.pop(name, None)
    names += [""] * (int(count) - len(names))
    return [adopt(FIRST + place, names[place]) for place in range(int(count))]


# --- names


def name_of(listening: socket.socket) -> str:
    """`127.0.0.1:8000`, `[::1]:8000` or `unix:/run/app.sock`."""
    address = listening.getsockname()
    if listening.family == socket.AF_UNIX:
        return f"unix:{os.fsdecode(address) if isinstance(address, bytes) else address}"
    return peer_name(address)


def peer_name(address: object) -> str:
    """What accept(2) and getsockname(2) give, as people write it: an IPv4 address in IPv6's clothes is IPv4, and a Unix
    socket's peer has no name."""
    if isinstance(address, tuple):
        host, port = address[:2]
        if ":" not in host:
            return f"{host}:{port}"
        if host.startswith("::ffff:") and "." in host:
            return f"{host.removeprefix('::ffff:')}:{port}"
        return f"[{host}]:{port}"
    return str(address) or "unix"
