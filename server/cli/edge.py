"""From the settings to what stands around an application: handlers.edge."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from clerestory.handlers.asgi.scope import Scopes
from clerestory.handlers.edge.basic import Basic
from clerestory.handlers.edge.compression import TYPES, Compression
from clerestory.handlers.edge.cors import CORS, FIELDS, METHODS
from clerestory.handlers.edge.edge import Check, Dresser, Edge, Guarded
from clerestory.handlers.edge.hsts import HSTS
from clerestory.handlers.edge.pages import ErrorPages
from clerestory.handlers.edge.rates import Rate, RateLimit
from clerestory.handlers.edge.redirects import Redirects, parse_redirect
from clerestory.handlers.proxy.forwarding import parse_networks
from clerestory.handlers.static.types import DEFAULT
from clerestory.server.cli.options.edge import EDGE_OPTIONS
from clerestory.server.cli.settings import UsageError
from clerestory.server.cli.values import hsts_value, split_rate

PER_SITE = ("hsts", *(option.name for option in EDGE_OPTIONS))
"""The options of this kind, which a site may set for itself."""

LONGEST_PAGE = 1024 * 1024
"""Bytes of an error page: they are kept in memory."""


def with_edge(application: Any, settings: Mapping[str, Any], trusted: tuple[str, ...] = ()) -> Any:
    """The application with its edge; itself where it has none. `trusted` are the networks of proxies. Raises
    UsageError."""
    edge = edge_of(settings, trusted)
    return application if edge.is_empty else Guarded(application, edge)


def edge_of(settings: Mapping[str, Any], trusted: tuple[str, ...] = ()) -> Edge:
    """What the settings ask for. Raises UsageError."""
    checks: list[Check] = []
    dressers: list[Dresser] = []
    if settings["rate_limit"]:
        who = Scopes(trusted=parse_networks(trusted))
        checks.append(RateLimit(Rate(*split_rate(settings["rate_limit"])), who.client))
    if settings["redirect"]:
        checks.append(Redirects(map(parse_redirect, settings["redirect"])))
    if settings["error_page"]:
        dressers.append(_pages(settings["error_page"]))
    cors = _cors(settings)
    if cors is not None:
        checks.append(cors)
        dressers.append(cors)
    if settings["hsts"]:
        dressers.append(HSTS(hsts_value(settings["hsts"])))
    if settings["compress"]:
        dressers.append(_compression(settings))
    return Edge(checks, dressers, _basic(settings["basic_auth"]))


def _compression(settings: Mapping[str, Any]) -> Compression:
    return Compression(
        min_size=settings["compress_min_size"],
        types=settings["compress_type"] or TYPES,
        max_streams=settings["compress_streams"],
    )


def _cors(settings: Mapping[str, Any]) -> CORS | None:
    if not settings["cors"]:
        return None
    try:
        return CORS(
            settings["cors"],
            credentials=settings["cors_credentials"],
            methods=settings["cors_methods"] or METHODS,
            fields=settings["cors_fields"] or FIELDS,
            exposed=settings["cors_exposed"],
            max_age=int(settings["cors_max_age"]),
        )
    except ValueError as error:
        raise UsageError(f"--cors-credentials: {error}: name the origins with --cors") from error


def _basic(path: str | None) -> Basic | None:
    if path is None:
        return None
    try:
        return Basic(path)
    except OSError as error:
        raise UsageError(f"--basic-auth {path}: {error.strerror}") from error
    except ValueError as error:  # also what is not UTF-8
        raise UsageError(f"--basic-auth {path}: {error}") from error


def _pages(texts: tuple[str, ...]) -> ErrorPages:
    pages: dict[int, tuple[bytes, bytes]] = {}
    for text in texts:
        status, _, path = text.partition("=")
        try:
            with Path(path).open("rb") as file:
                content = file.read(LONGEST_PAGE + 1)
        except OSError as error:
            raise UsageError(f"--error-page {text}: {error.strerror}") from error
        if len(content) > LONGEST_PAGE:
            raise UsageError(f"--error-page {text}: it is longer than {LONGEST_PAGE} bytes")
        pages[int(status.removesuffix("xx"))] = DEFAULT.of(path.encode()), content
    return ErrorPages(pages)


def tells_passwords(settings: Mapping[str, Any]) -> bool:
    """Whether passwords are asked for that anybody on the way can read: without TLS."""
    return bool(settings["basic_auth"]) and not (settings["tls_certificate"] or settings["tls_self_signed"])
