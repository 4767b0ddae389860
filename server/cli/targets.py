"""TARGET: from the word on the command line to the application that is served.

    nothing             the built-in mail site
    a directory         its files
    module:attribute    an application: what is called with a request
    http://host:port    what is served there: a reverse proxy; over TLS with https://

A directory that exists wins over a module of that name. Whatever is wrong is a TargetError: one line that says what,
and what to write instead.
"""

import os
import re
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from clerestory.handlers.api.messages import Application
from clerestory.handlers.static.types import DEFAULT, Types, parse_types
from clerestory.server.cli.interfaces import How, InterfaceError, host, is_module_name, load
from clerestory.server.cli.nearest import instead
from clerestory.server.config import Limits

IN_MEMORY = "sqlite:///:memory:"

_ADDRESS = re.compile(r"([0-9.]+|\[[0-9a-fA-F:.]+\]|localhost|[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+):[0-9]{1,5}(/.*)?")

_PORT = re.compile(r":?[0-9]{1,5}")

_PATH = re.compile(r"/[\x21-\x7e]*")

CLOSE_TIMEOUT = 2.0
"""Seconds at the exit for what a database still does; nothing waits for it by then."""


class TargetError(Exception):
    """There is nothing to serve; the message is for the user."""


def _nothing() -> None:
    """What most applications have to give back."""


@dataclass(frozen=True, slots=True)
class Target:
    """An application, what it is in a few words, and what gives back what it holds."""

    application: Application
    description: str
    close: Callable[[], object] = _nothing


@dataclass(frozen=True, slots=True)
class Origins:
    """What a reverse proxy asks, as it was typed: URLs, the networks whose peers are believed, whether an upstream is
    told its own host, the path by which it is probed, and the file with the authorities that vouch for it."""

    urls: tuple[str, ...]
    trusted: tuple[str, ...] = ()
    own_host: bool = False
    probe: str | None = None
    authorities: str | None = None


@dataclass(frozen=True, slots=True)
class Dress:
    """What a directory is given besides its files, as it was typed: handlers.static.extras."""

    fallback: str = ""
    fields: tuple[str, ...] = ()
    caching: tuple[str, ...] = ()


def is_url(target: str | None) -> bool:
    """Whether TARGET names what is to be asked, not what is here."""
    return target is not None and target.lower().startswith(("http://", "https://"))


def resolve(
    target: str | Origins | None,
    *,
    database: str | None = None,
    listing: bool = False,
    types: str | None = None,
    limits: Limits | None = None,
    how: How | None = None,
    dress: Dress | None = None,
) -> Target:
    """What `target` names; `how` is for an application. Raises TargetError."""
    if database is not None and target is not None:
        raise TargetError("--database is for the built-in site: leave TARGET out, or leave --database out")
    if listing and (not isinstance(target, str) or not os.path.isdir(target)):
        raise TargetError("--listing is for a directory: name one as TARGET")
    if types is not None and (not isinstance(target, str) or not os.path.isdir(target)):
        raise TargetError("--types is for a directory: name one as TARGET")
    if isinstance(target, str) and is_url(target):
        target = Origins((target,))
    if isinstance(target, Origins):
        return _reverse_proxy(target)
    if target is None:
        return _mail_site(database, limits or Limits())
    if os.path.isdir(target):
        return _directory(target, listing, types, limits or Limits(), dress or Dress())
    if ":" in target and not target.startswith(("/", ".")):
        _refuse_addresses(target)
        return application(target, how or How())
    raise TargetError(_unknown(target))


def _refuse_addresses(target: str) -> None:
    """Raise TargetError for what looks like an address and is no URL that we ask."""
    scheme, _, rest = target.partition("://")
    if rest:
        raise TargetError(f"{target}: {scheme}:// is not served: a reverse proxy asks http:// or https://")
    if _ADDRESS.fullmatch(target):
        raise TargetError(f"{target}: to serve what is there, write http://{target}")
    if _PORT.fullmatch(target):
        raise TargetError(_as_port(target.removeprefix(":"), target))


def _unknown(target: str) -> str:
    if os.path.exists(target):
        name = os.path.splitext(target)[0].strip("./").replace("/", ".")
        folder = os.path.dirname(target) or "."
        hint = f"module:attribute, such as {name}:app" if target.endswith(".py") else f"its directory, {folder}"
        return f"{target} is a file: to serve it, name {hint}"
    if not target:
        return "TARGET is empty: leave it out for the built-in site, or write . for this directory"
    if _PORT.fullmatch(target):
        return _as_port(target, target)
    meant = _module_here(target)
    if meant:
        return f"{target}: there is no such directory; an application is named module:attribute: {meant}"
    near = instead(target)
    if near:
        return f"{target}: there is no such directory; {near}"
    hint = f"; an application is named module:attribute, such as {target}:app" if is_module_name(target) else ""
    return f"{target}: there is no such directory{hint}"


def _as_port(port: str, target: str) -> str:
    return f"{target}: to listen there, write --port {port}; to serve what is there, write http://127.0.0.1:{port}"


def _module_here(target: str) -> str:
    """What an application is called, where the word names a file of Python: `shop`, `shop.app`, `./shop.py:app`."""
    path, _, attribute = target.partition(":")
    if attribute and path.endswith(".py") and os.path.isfile(path):
        folder, name = os.path.split(path)
        place = "" if folder in ("", ".") else f" --app-dir {folder}"
        return f"{name.removesuffix('.py')}:{attribute}{place}"
    for name, last in ((target, "app"), target.rpartition(".")[::2]):
        if name and is_module_name(name) and os.path.isfile(f"{name.replace('.', '/')}.py"):
            return f"{name}:{last}"
    return ""


# --- the built-in site


def _mail_site(url: str | None, limits: Limits) -> Target:
    scheme, separator, _ = (url or "").partition("://")
    if scheme in ("postgresql", "postgres"):
        return _mail_in_postgres(url or "")
    if separator and scheme != "sqlite":  # the rest may hold a password
        raise TargetError(
            f"--database {scheme}://...: use sqlite:///PATH, sqlite:///:memory: or postgresql://USER@HOST/NAME"
        )
    from clerestory.handlers.backends.sqlite import Database, parse_url
    from clerestory.handlers.mail.site import mail_site
    from clerestory.handlers.mail.sqlite import SQLiteMail

    option = f"--database {url}"
    try:
        _check_place(parse_url(url or IN_MEMORY))
        database = Database(url or IN_MEMORY, limits.sqlite_readers, None, limits.sqlite_busy)
    except (ValueError, OSError, sqlite3.Error) as error:
        raise TargetError(f"{option}: {error}") from error
    try:
        site = mail_site(SQLiteMail(database))
    except (ValueError, sqlite3.Error) as error:
        database.close()
        raise TargetError(f"{option}: {error}") from error
    kept = "in memory, with a thousand samples" if database.in_memory else f"kept in {database.path}"
    return Target(site, f"the built-in mail site, {kept}", lambda: database.close(CLOSE_TIMEOUT))


def _mail_in_postgres(url: str) -> Target:
    """The same in PostgreSQL. The URL may hold a password, so it is not repeated."""
    try:
        import psycopg
    except ImportError as error:
        hint = "pip install 'psycopg[binary]'"
        raise TargetError(f"--database postgresql://...: psycopg is not installed: {hint}") from error
    from clerestory.handlers.backends.postgres.database import Database
    from clerestory.handlers.mail.postgres import HARMLESS, PostgresMail
    from clerestory.handlers.mail.site import mail_site

    try:
        database = Database(url, harmless=HARMLESS)
    except ValueError as error:
        raise TargetError(f"--database postgresql://...: {error}") from error
    try:
        site = mail_site(PostgresMail(database))
    except (ValueError, psycopg.Error) as error:
        database.close()
        why = " ".join(str(error).split())  # libpq says a line for each address
        raise TargetError(f"--database postgresql://{database.place}: {why}") from error
    return Target(site, f"the built-in mail site, kept in PostgreSQL at {database.place}", database.close)


def _check_place(path: str) -> None:
    """Raise ValueError where there can be no file `path`: SQLite only says that it cannot be opened."""
    folder = os.path.dirname(path) or "."
    if not os.path.isdir(folder):
        raise ValueError(f"there is no directory {folder}: create it, or name another")
    if os.path.isdir(path):
        raise ValueError("that is a directory: name a file in it")


# --- a directory


def _directory(root: str, listing: bool, types: str | None, limits: Limits, dress: Dress) -> Target:
    if not os.path.isabs(root):
        try:
            os.getcwd()  # `.` itself may be there until nobody is in it any more
        except FileNotFoundError:
            raise TargetError("the current directory has been deleted: change to one that exists") from None
    if not os.access(root, os.R_OK | os.X_OK):
        raise TargetError(f"{root}: permission denied: allow this user to read and enter it")
    from clerestory.handlers.static.files import StaticFiles

    try:
        files = StaticFiles(root, listing, limits.max_ranges, limits.max_known_files, types=_types(types))
    except OSError as error:
        raise TargetError(f"{root}: {error.strerror}") from error
    shown = ", with listings" if listing else ""
    if not listing and not os.path.exists(os.path.join(root, "index.html")):
        shown = ", which has no index.html (--listing lists it)"  # for the operator, not for clients
    return Target(_dressed(files, root, dress), f"files in {os.path.realpath(root)}{shown}")


def _dressed(files: Application, root: str, dress: Dress) -> Application:
    """The files with what was asked for besides; themselves where nothing was."""
    error_page = "404.html" if os.path.isfile(os.path.join(root, "404.html")) else ""
    if dress.fallback and not os.path.isfile(os.path.join(root, dress.fallback)):
        raise TargetError(f"--fallback {dress.fallback}: there is no such file in {root}")
    if dress == Dress() and not error_page:
        return files
    from clerestory.handlers.static.extras import Extras

    fields = [text.partition(":")[::2] for text in dress.fields]
    rules = [text.partition("=")[::2] for text in dress.caching]
    return Extras(
        files,
        fallback=dress.fallback,
        error_page=error_page,
        fields=tuple((name.lower().encode(), value.strip().encode()) for name, value in fields),
        caching=[(pattern, value.encode()) for pattern, value in rules],
    )


def _types(path: str | None) -> Types:
    """The media types, with those of the file `path`."""
    try:
        return Types(parse_types(Path(path).read_text(encoding="utf-8"))) if path is not None else DEFAULT
    except OSError as error:
        raise TargetError(f"--types {path}: {error.strerror}") from error
    except ValueError as error:  # also what is not UTF-8
        raise TargetError(f"--types {path}: {error}") from error


# --- a reverse proxy


def _reverse_proxy(origins: Origins) -> Target:
    from clerestory.handlers.backends.upstream.upstream import Probing, Upstream
    from clerestory.handlers.proxy.forwarding import parse_networks
    from clerestory.handlers.proxy.proxy import Proxy

    if origins.probe is not None and not _PATH.fullmatch(origins.probe):
        raise TargetError(f"--probe {origins.probe}: that is not a path: write /health, or whatever answers quickly")
    probing = None if origins.probe is None else Probing(origins.probe)
    if origins.authorities is not None and not any(url.lower().startswith("https:") for url in origins.urls):
        raise TargetError(f"--upstream-ca {origins.authorities}: no upstream is asked by https://")
    try:
        upstream = Upstream(*origins.urls, probing=probing, authorities=origins.authorities)
    except OSError as error:
        unread = type(error).__module__ != "ssl"
        why = error.strerror if unread else "there is no certificate in it, in PEM"
        raise TargetError(f"--upstream-ca {origins.authorities}: {why}") from error
    except ValueError as error:
        said = str(error)
        named = any(url.rpartition("://")[2] in said for url in origins.urls)
        raise TargetError(said if named else f"{', '.join(origins.urls)}: {said}") from error
    try:
        trusted = parse_networks(origins.trusted)
    except ValueError as error:
        raise TargetError(f"--trust: {error}") from error
    proxy = Proxy(upstream, trusted=trusted, keep_host=not origins.own_host)
    return Target(proxy, f"a reverse proxy of {', '.join(origins.urls)}")


# --- an application


def application(target: str, how: How) -> Target:
    """The application `module:attribute`."""
    name, _, attribute = target.partition(":")
    if name.endswith(".py") or not is_module_name(name) or not is_module_name(attribute):
        guess = name.removesuffix(".py").strip("./").replace("/", ".")
        meant = f", such as {guess}:{attribute}" if is_module_name(guess) and is_module_name(attribute) else ""
        raise TargetError(f"{target}: an application is named module:attribute, with dots in the module's name{meant}")
    try:
        found, description = host(load(name, attribute, how.app_dir), target, how)
    except InterfaceError as error:
        raise TargetError(str(error)) from error
    return Target(found, description)
