"""TARGET: from the word on the command line to the application that is served.

    nothing             the built-in mail site
    a directory         its files
    module:attribute    an application: what is called with a request
    http://host:port    what is served there: a reverse proxy; over TLS with https://

A directory that exists wins over a module of that name. Whatever is wrong is a TargetError: one line that says what,
and what to write instead.
"""

import difflib
import importlib
import inspect
import os
import re
import sqlite3
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from handlers.messages import Application
from server.config import Limits

IN_MEMORY = "sqlite:///:memory:"

_PATH = re.compile(r"/[\x21-\x7e]*")

PATIENCE = 2.0
"""Seconds at the exit for what a database still does; whoever waited for it has gone by then."""


class TargetError(Exception):
    """There is nothing to serve; the message is for whoever typed the command."""


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


def is_url(target: str | None) -> bool:
    """Whether TARGET names what is to be asked, not what is here."""
    return target is not None and target.lower().startswith(("http://", "https://"))


def resolve(
    target: str | Origins | None, *, database: str | None = None, listing: bool = False, limits: Limits | None = None
) -> Target:
    """What `target` names. Raises TargetError."""
    if database is not None and target is not None:
        raise TargetError("--database is for the built-in site: leave TARGET out, or leave --database out")
    if listing and (not isinstance(target, str) or not os.path.isdir(target)):
        raise TargetError("--listing is for a directory: name one as TARGET")
    if isinstance(target, str) and is_url(target):
        target = Origins((target,))
    if isinstance(target, Origins):
        return _reverse_proxy(target)
    if target is None:
        return _mail_site(database, limits or Limits())
    if os.path.isdir(target):
        return _directory(target, listing, limits or Limits())
    if ":" in target and not target.startswith(("/", ".")):
        return _application(target)
    raise TargetError(_unknown(target))


def _unknown(target: str) -> str:
    if os.path.exists(target):
        name = os.path.splitext(target)[0].strip("./").replace("/", ".")
        folder = os.path.dirname(target) or "."
        hint = f"module:attribute, such as {name}:app" if target.endswith(".py") else f"its directory, {folder}"
        return f"{target} is a file: to serve it, name {hint}"
    if not target:
        return "TARGET is empty: leave it out for the built-in site, or write . for this directory"
    hint = f"; an application is named module:attribute, such as {target}:app" if _is_module_name(target) else ""
    return f"{target}: there is no such directory{hint}"


# --- the built-in site


def _mail_site(url: str | None, limits: Limits) -> Target:
    if (url or "").partition("://")[0] in ("postgresql", "postgres"):
        return _mail_in_postgres(url or "")
    from handlers.backends.sqlite import Database, parse_url
    from handlers.mail import mail_site
    from handlers.mail_sqlite import SQLiteMail

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
    return Target(site, f"the built-in mail site, {kept}", lambda: database.close(PATIENCE))


def _mail_in_postgres(url: str) -> Target:
    """The same in PostgreSQL. The URL may hold a password, so it is not repeated."""
    try:
        import psycopg
    except ImportError as error:
        hint = "pip install 'clerestory[postgres]'"
        raise TargetError(f"--database postgresql://...: psycopg is not installed: {hint}") from error
    from handlers.backends.postgres import Database
    from handlers.mail import mail_site
    from handlers.mail_postgres import PostgresMail

    try:
        database = Database(url)
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


def _directory(root: str, listing: bool, limits: Limits) -> Target:
    if not os.access(root, os.R_OK | os.X_OK):
        raise TargetError(f"{root}: permission denied: allow this user to read and enter it")
    from handlers.static import StaticFiles

    try:
        files = StaticFiles(root, listing, limits.max_ranges, limits.max_known_files)
    except OSError as error:
        raise TargetError(f"{root}: {error.strerror}") from error
    return Target(files, f"files in {os.path.realpath(root)}{', with listings' if listing else ''}")


# --- a reverse proxy


def _reverse_proxy(origins: Origins) -> Target:
    from handlers.backends.upstream import Probing, Upstream
    from handlers.forwarding import parse_networks
    from handlers.proxy import Proxy

    if origins.probe is not None and not _PATH.fullmatch(origins.probe):
        raise TargetError(f"--probe {origins.probe}: that is no path: write /health, or whatever answers quickly")
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
        raise TargetError(str(error)) from error
    try:
        trusted = parse_networks(origins.trusted)
    except ValueError as error:
        raise TargetError(f"--trust: {error}") from error
    proxy = Proxy(upstream, trusted=trusted, keep_host=not origins.own_host)
    return Target(proxy, f"a reverse proxy of {', '.join(origins.urls)}")


# --- an application


def _is_module_name(name: str) -> bool:
    return all(part.isidentifier() for part in name.split("."))


def _application(target: str) -> Target:
    name, _, attribute = target.partition(":")
    if name.endswith(".py") or not _is_module_name(name) or not _is_module_name(attribute):
        guess = name.removesuffix(".py").strip("./").replace("/", ".")
        meant = f", such as {guess}:{attribute}" if _is_module_name(guess) and _is_module_name(attribute) else ""
        raise TargetError(f"{target}: an application is named module:attribute, with dots in the module's name{meant}")
    found = _attribute(_import(name), name, attribute)
    if inspect.isclass(found):
        raise TargetError(f"{target} is a class: name an instance of it")
    if not callable(found):
        raise TargetError(f"{target} is of type {type(found).__name__} and cannot be called with a request")
    return Target(found, f"the application {target}")


def _import(name: str) -> ModuleType:
    """The module; the current directory comes first on its path, as it does under `python -m`."""
    here = os.getcwd()
    if here not in sys.path and "" not in sys.path:
        sys.path.insert(0, here)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name + ".").startswith(error.name + "."):
            raise TargetError(f"there is no module {error.name} in {here}, nor is one installed") from error
        raise TargetError(f"{name} cannot be imported: {_where(error)}") from error
    except (Exception, SystemExit) as error:
        raise TargetError(f"{name} cannot be imported: {_where(error)}") from error


def _where(error: BaseException) -> str:
    """File, line and error: the line that raised."""
    said = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    if isinstance(error, SyntaxError) and error.filename is not None:
        return f"{error.filename}, line {error.lineno}: {type(error).__name__}: {error.msg}"
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not frame.filename.startswith("<frozen")]
    return f"{frames[-1].filename}, line {frames[-1].lineno}: {said}"


def _attribute(module: ModuleType, name: str, path: str) -> Any:
    found: Any = module
    for part in path.split("."):
        try:
            found = getattr(found, part)
        except AttributeError as error:
            near = difflib.get_close_matches(part, [one for one in dir(found) if not one.startswith("_")], 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise TargetError(f"{name} has no attribute {path}{hint}") from error
    return found
