"""Which coding a response is sent in: RFC 9110 section 12.5.3."""

from collections.abc import Sequence

from clerestory.handlers.static.variants import qualities

GZIP, X_GZIP, IDENTITY = b"gzip", b"x-gzip", b"identity"


def choose(accept_encoding: bytes | None, offered: Sequence[bytes]) -> tuple[bytes, bool]:
    """The coding of `offered` that the client prefers, of equals the first; empty for none. And whether it refuses a
    response without a coding.

    Without the field any coding is acceptable, but such a client is often too old to know one. Identity is only the
    fallback where it is not listed: any coding that is listed is preferred.
    """
    if accept_encoding is None:
        return b"", False
    welcome = qualities(accept_encoding)
    if X_GZIP in welcome:  # section 8.4.1.3: the same
        welcome.setdefault(GZIP, welcome[X_GZIP])
    others = welcome.get(b"*")
    plain = welcome.get(IDENTITY)
    refused = plain == 0 or (plain is None and others == 0)
    best, quality = b"", 0.0
    for coding in offered:
        wanted = welcome.get(coding, others or 0.0)
        if wanted > quality:
            best, quality = coding, wanted
    return (best, refused) if quality and quality >= (plain or 0.0) else (b"", refused)
