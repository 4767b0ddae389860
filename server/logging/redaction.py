"""What the log leaves out, unless `--log-queries` asks for it: what clients put into queries and fragments.

A log is kept for long, copied, and read by many; queries hold search words, e-mail addresses, and tokens that reset
passwords. So:

- *Our own events* name a request's target without its query: `/reset?...`, as the x-ray does.
- *The text of an exception* loses the queries of the URLs in it, and what follows `Bearer` or `Basic`. What else an
  application puts into its exceptions, a piece of a body for one, is printed: nobody could mend a handler without.
- *What an application logs itself* is its own business.
"""

import re

from clerestory.handlers.api.messages import Request

_QUERY = re.compile(r"(?<=[\w/=.~%-])([?#])[^\s'\"<>()\[\]{}?#:]{2}[^\s'\"<>()\[\]{}]*")
"""A query or a fragment of a URL or a path, in a text: a question mark that ends a sentence is followed by a space."""

_CREDENTIALS = re.compile(r"\b(Bearer|Basic)\s+[A-Za-z0-9+/=_.~-]{6,}", re.IGNORECASE)


def target_of(request: Request | None, *, queries: bool) -> str:
    """A request's target for an event; `-` where there is no request."""
    if request is None:
        return "-"
    return request.target if queries or not request.query else without_query(request.target)


def without_query(target: str) -> str:
    """`/reset?...`"""
    return target.partition("?")[0] + "?..."


def without_queries(text: str) -> str:
    """A text with the queries of its URLs, and credentials, left out."""
    return _CREDENTIALS.sub(r"\1 ...", _QUERY.sub(r"\1...", text))
