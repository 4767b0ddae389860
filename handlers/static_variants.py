"""Which representation of a file is sent: its media type, and its precompressed variants.

A variant is a file beside it: `app.js.br`, `app.js.zst`, `app.js.gz`. It is sent when the client accepts its coding
(RFC 9110 section 12.5.3) at least as gladly as the plain file, unless it is older than the plain file: then whoever
changed the one forgot the other.

The media type comes from the name's extension, by Python's own table and the additions below: not from the system's
`mime.types`, so that two machines answer alike.
"""

import mimetypes
import re
from functools import lru_cache

from handlers.static_paths import Walk

CODINGS: tuple[tuple[bytes, bytes], ...] = ((b"br", b".br"), (b"zstd", b".zst"), (b"gzip", b".gz"))
"""Codings and the extensions of their files; the first is preferred where the client does not mind: the smallest."""

_TYPES = mimetypes.MimeTypes()
for _extension, _type in {
    ".avif": "image/avif",
    ".flac": "audio/flac",
    ".ico": "image/vnd.microsoft.icon",
    ".js": "text/javascript",  # RFC 9239
    ".jsonl": "application/jsonl",
    ".log": "text/plain",
    ".m4a": "audio/mp4",
    ".map": "application/json",
    ".md": "text/markdown",  # RFC 7763
    ".mjs": "text/javascript",
    ".mkv": "video/x-matroska",
    ".ogg": "audio/ogg",
    ".ogv": "video/ogg",
    ".opus": "audio/ogg",
    ".otf": "font/otf",
    ".py": "text/plain",  # to be read in a browser
    ".rst": "text/plain",
    ".rtf": "application/rtf",
    ".toml": "application/toml",
    ".ttf": "font/ttf",
    ".wasm": "application/wasm",
    ".webm": "video/webm",
    ".webmanifest": "application/manifest+json",
    ".webp": "image/webp",
    ".woff": "font/woff",
    ".woff2": "font/woff2",
    ".xml": "application/xml",  # RFC 7303 prefers it to text/xml
    ".yaml": "application/yaml",  # RFC 9512
    ".yml": "application/yaml",
    ".7z": "application/x-7z-compressed",
}.items():
    _TYPES.add_type(_type, _extension)

# A compressed file that is asked for by its own name is that file, and not a coding of another.
_COMPRESSED = {
    "gzip": "application/gzip",
    "bzip2": "application/x-bzip2",
    "xz": "application/x-xz",
    "compress": "application/x-compress",
    "br": "application/x-brotli",
    "zstd": "application/zstd",
}
_TYPES.encodings_map[".zst"] = "zstd"
_TYPES.encodings_map[".br"] = "br"

# RFC 9110 section 12.4.2; white space as in section 12.5.3.
_QUALITY = re.compile(rb"q=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)")


@lru_cache(maxsize=256)
def content_type(name: bytes) -> bytes:
    """The media type of a file by its name's last extensions; text is said to be UTF-8."""
    # Only a plain name is guessed at: `data:` and the like would be taken for URLs.
    stem, dot, extension = name[-64:].decode("latin-1").replace("/", "").replace(":", "").rpartition(".")
    found, compressed = _TYPES.guess_type(f"x{stem}{dot}{extension}")
    if compressed is not None:
        found = _COMPRESSED.get(compressed)
    if found is None:
        return b"application/octet-stream"
    return f"{found}; charset=utf-8".encode() if found.startswith("text/") else found.encode()


def qualities(accept_encoding: bytes) -> dict[bytes, float]:
    """Codings, in lower case, and how welcome they are: 0 (refused) to 1. What is malformed is left out."""
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
    """The codings of which there seem to be variants of `name`, with the variants' names."""
    if name.endswith((b".br", b".zst", b".gz")):
        return []
    return [(coding, name + extension) for coding, extension in CODINGS if walk.has(name + extension)]


def acceptable(codings: list[tuple[bytes, bytes]], accept_encoding: bytes | None) -> list[tuple[bytes, bytes]]:
    """Those the client takes at least as gladly as no coding at all, the most welcome first."""
    if not codings or accept_encoding is None:
        # RFC 9110 section 12.5.3 allows any coding then; but who says nothing is often too old to know one.
        return []
    welcome = qualities(accept_encoding)
    others = welcome.get(b"*", 0.0)
    # Where the client does not name identity, it is there to fall back on: anything else it names is more welcome.
    plain = welcome.get(b"identity", 0.0)
    ranked = [(welcome.get(coding, others), coding, name) for coding, name in codings]
    ranked.sort(key=lambda one: -one[0])
    return [(coding, name) for quality, coding, name in ranked if quality > 0 and quality >= plain]
