"""Precompressed variants of a file, and which one is sent.

A variant is a file beside it: `app.js.br`, `app.js.zst`, `app.js.gz`. It is sent if the client gives its coding
(RFC 9110 section 12.5.3) at least the quality of the plain file, unless it is older than the plain file: then it is out
of date. A file whose name says that it is compressed (`.svgz`) has no variants.
"""

import re

from clerestory.handlers.static.paths import Walk
from clerestory.handlers.static.types import own_coding

CODINGS: tuple[tuple[bytes, bytes], ...] = ((b"br", b".br"), (b"zstd", b".zst"), (b"gzip", b".gz"))
"""Codings and the extensions of their files; at equal quality the first, which is the smallest, is preferred."""

# RFC 9110 section 12.4.2; white space as in section 12.5.3.
_QUALITY = re.compile(rb"q=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)")


def qualities(accept_encoding: bytes) -> dict[bytes, float]:
    """Codings, in lower case, and their quality: 0 (refused) to 1. Malformed elements are left out."""
    welcome: dict[bytes, float] = {}
    for element in accept_encoding.lower().split(b","):
        coding, semicolon, weight = element.partition(b";")
        quality = _QUALITY.fullmatch(weight.strip(b" \t"))
        if not semicolon:
            welcome[coding.strip(b" \t")] = 1.0
        elif quality is not None:
            welcome[coding.strip(b" \t")] = float(quality[1])
    return welcome


def available(walk: Walk, name: bytes) -> list[tuple[bytes, bytes]]:
    """The codings for which a variant of `name` seems to exist, with the variants' names."""
    if name.endswith((b".br", b".zst", b".gz")) or own_coding(name):
        return []
    return [(coding, name + extension) for coding, extension in CODINGS if walk.has(name + extension)]


def acceptable(codings: list[tuple[bytes, bytes]], accept_encoding: bytes | None) -> list[tuple[bytes, bytes]]:
    """Those with at least the quality of identity, the highest quality first."""
    if not codings or accept_encoding is None:
        # RFC 9110 section 12.5.3 allows any coding then; but such a client is often too old to know one.
        return []
    welcome = qualities(accept_encoding)
    others = welcome.get(b"*", 0.0)
    # If the client does not list identity, that is only the fallback: any listed coding is preferred.
    plain = welcome.get(b"identity", 0.0)
    ranked = [(welcome.get(coding, others), coding, name) for coding, name in codings]
    ranked.sort(key=lambda one: -one[0])
    return [(coding, name) for quality, coding, name in ranked if quality > 0 and quality >= plain]
