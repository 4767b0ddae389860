"""The address of a PostgreSQL server: from a URL to the parameters of each connection attempt.

libpq reads the URL (its manual, section "Connection Strings"), and its environment (PGHOST, PGPASSWORD, ...) fills in
what is missing. Two things are not left to it, since they would block the loop:

- it resolves names itself, and waits for the result: instead `attempts` does so, in a thread, and each address is an
  attempt of its own, with its own deadline;
- it requests a Kerberos ticket before it connects, and waits for that too: so `gssencmode` is `disable`, unless given.

Every session uses UTF-8, which the adapters assume.
"""

import ipaddress
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass

import psycopg
from psycopg import conninfo

SCHEMES = ("postgresql", "postgres")
PORT = "5432"

Lookup = Callable[[str, str], list[str]]


def look_up(host: str, port: str) -> list[str]:
    """The addresses of `host`, best first. Waits for the answer. Raises OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(place[4][0]) for place in found))


@dataclass(frozen=True, slots=True)
class Place:
    """A database: `parameters` by libpq's names, and `hosts`, each with a port (a path is the folder of a Unix
    socket)."""

    parameters: dict[str, str]
    hosts: tuple[tuple[str, str], ...]

    def __str__(self) -> str:
        """For people: without password and user."""
        shown = ",".join(f"{_bracketed(host)}:{port}" if host else "a local socket" for host, port in self.hosts)
        return f"{shown}/{self.parameters.get('dbname') or os.environ.get('PGDATABASE', '')}"

    @property
    def has_names(self) -> bool:
        """Whether a host name must be resolved."""
        return "hostaddr" not in self.parameters and any(_is_name(host) for host, _ in self.hosts)

    @property
    def whole(self) -> str:
        """The connection string for a blocking connection."""
        return conninfo.make_conninfo(**self.parameters)

    def attempts(self, lookup: Lookup = look_up) -> list[str]:
        """The connection string of each attempt, in order. Raises OSError if no host name can be resolved."""
        if "hostaddr" in self.parameters:
            return [self.whole]
        found: list[str] = []
        unknown: OSError | None = None
        for host, port in self.hosts:
            chosen = self.parameters | {"host": host, "port": port}
            if not _is_name(host):
                found.append(conninfo.make_conninfo(**chosen))
                continue
            try:
                # `host` stays: the certificate is verified against it.
                found += [conninfo.make_conninfo(**chosen, hostaddr=address) for address in lookup(host, port)]
            except OSError as error:
                unknown = error
        if unknown is not None and not found:
            raise unknown
        return found


def parse_url(url: str) -> Place:
    """The database of `url`. Raises ValueError, without the password in its message."""
    if url.partition("://")[0] not in SCHEMES:
        raise ValueError("a PostgreSQL database is named postgresql://USER@HOST:PORT/DATABASE")
    try:
        given = conninfo.conninfo_to_dict(url)
    except psycopg.ProgrammingError as error:
        reason = str(error).split(" in URI:")[0].split(': "')[0].strip()
        raise ValueError(f"not a valid postgresql:// URL: {reason}") from None
    parameters = {name: str(value) for name, value in given.items() if value is not None}
    parameters.setdefault("fallback_application_name", "clerestory")
    parameters.setdefault("gssencmode", "disable")
    parameters["client_encoding"] = "UTF8"
    hosts = (parameters.get("host") or os.environ.get("PGHOST", "")).split(",")
    ports = (parameters.get("port") or os.environ.get("PGPORT", PORT)).split(",")
    if len(ports) == 1:
        ports *= len(hosts)
    if len(ports) != len(hosts):
        raise ValueError(f"there are {len(hosts)} hosts and {len(ports)} ports")
    return Place(parameters, tuple((host, port or PORT) for host, port in zip(hosts, ports, strict=True)))


def _is_name(host: str) -> bool:
    """Whether `host` is neither an address nor the folder of a Unix socket (`@`: an abstract one)."""
    if not host or host.startswith(("/", "@")):
        return False
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return True
    return False


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
