"""Methods: those that HTTP defines, and the errors for those that are not served.

A method that the registry lists, or that a route has, is known: if it is not allowed the response is 405 with Allow
(RFC 9110 section 15.5.6), which lists the allowed ones. Any other method is 501 (section 15.6.2).
"""

from collections.abc import Iterable

from clerestory.handlers.api.errors import HTTPError

# The IANA HTTP Method Registry (RFC 9110 section 16.1), and QUERY, less PRI, which only announces HTTP/2.
REGISTERED = frozenset(
    {
        "ACL",
        "BASELINE-CONTROL",
        "BIND",
        "CHECKIN",
        "CHECKOUT",
        "CONNECT",
        "COPY",
        "DELETE",
        "GET",
        "HEAD",
        "LABEL",
        "LINK",
        "LOCK",
        "MERGE",
        "MKACTIVITY",
        "MKCALENDAR",
        "MKCOL",
        "MKREDIRECTREF",
        "MKWORKSPACE",
        "MOVE",
        "OPTIONS",
        "ORDERPATCH",
        "PATCH",
        "POST",
        "PROPFIND",
        "PROPPATCH",
        "PUT",
        "QUERY",
        "REBIND",
        "REPORT",
        "SEARCH",
        "TRACE",
        "UNBIND",
        "UNCHECKOUT",
        "UNLINK",
        "UNLOCK",
        "UPDATE",
        "UPDATEREDIRECTREF",
        "VERSION-CONTROL",
    }
)


def allow(methods: Iterable[str]) -> tuple[bytes, bytes]:
    """The Allow field of a resource that has `methods`; OPTIONS is always answered."""
    return b"allow", ", ".join(sorted({*methods, "OPTIONS"})).encode()


def not_allowed(method: str, methods: Iterable[str]) -> HTTPError:
    """405, for a resource that has `methods` and not `method`."""
    *others, last = sorted({*methods, "OPTIONS"})
    use = f"{', '.join(others)} or {last}" if others else last
    return HTTPError(405, f"{method} is not allowed here; use {use}.", (allow(methods),))


def not_supported(method: str) -> HTTPError:
    """501, for an unknown method."""
    return HTTPError(501, f"{method} is not supported.")
