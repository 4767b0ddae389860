"""SVG and PNG, by the Graphviz that comes in pygraphviz's wheel; and whether a rendered file is still true.

A picture carries the fingerprint of the DOT text that it was drawn from, so a stale one is known whatever renders it.
What else is compared is what every machine and every patch of Graphviz gives alike: an SVG's elements, texts, colours
and links between states, and, where the same Graphviz drew both, their places; of a PNG, whose pixels depend on the
fonts at hand, its size within one in fifty.
"""

import contextlib
import hashlib
import os
import re
import struct
import tempfile
import zlib
from collections.abc import Iterator

DPI = 120
NEAR = 0.5
"""Points by which a place may differ. Texts are left out: where one begins in its cell depends on the fonts at hand."""

_GEOMETRY = re.compile(r' (?:d|points|x|y|cx|cy|rx|ry|width|height|viewBox|transform|textLength)="([^"]*)"')
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_COMMENT = re.compile(r"<!--.*?-->\n?", re.DOTALL)
_TEXT = re.compile(r"<text[^>]*>")
_NODE = re.compile(r'<g id="node\d+" class="node">.*?</g>', re.DOTALL)
_DRAWN_BY = re.compile(r"drawn by Graphviz ([\w.~-]+) from ([0-9a-f]+)")
_KEYWORD = b"Source"


class MissingExtra(Exception):
    """Graphviz is not here."""

    def __init__(self) -> None:
        super().__init__("SVG and PNG are drawn by Graphviz: pip install pygraphviz")


def fingerprint(dot: str) -> str:
    """What a picture is known by to come from this DOT text."""
    return hashlib.sha256(dot.encode()).hexdigest()[:16]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep what the libraries say of the machine's fonts off the terminal: no font decides the layout."""
    kept = os.dup(2)
    try:
        with tempfile.TemporaryFile() as said:
            os.dup2(said.fileno(), 2)
            yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _draw(dot: str, kind: str) -> bytes:
    """Raises MissingExtra."""
    try:
        import pygraphviz  # type: ignore[import-untyped]
    except ImportError:
        raise MissingExtra from None
    with _quiet():
        drawn: bytes = pygraphviz.AGraph(string=dot).draw(
            format=kind, prog="dot", args=f"-Gdpi={DPI if kind == 'png' else 72}"
        )
    return drawn


def to_svg(dot: str, title: str) -> str:
    """An SVG of `dot`, with a name for those who cannot see it. Raises MissingExtra."""
    text = _draw(dot, "svg").decode()
    version = re.search(r"graphviz version ([\w.~-]+)", text)
    text = _NODE.sub(lambda node: _centred(node[0]), _COMMENT.sub("", text))
    mark = f"<!-- drawn by Graphviz {version[1] if version else 'unknown'} from {fingerprint(dot)} -->\n"
    label = f'<svg role="img" aria-label="The state machine of {title}"'
    return text.replace("<svg", mark + label, 1)


def _centred(node: str) -> str:
    """A state's card with its name, and the line below it, anchored in the middle.

    Graphviz anchors every text at the left, at a place that it found with the fonts of this machine; a reader's own
    would put it off the middle. The lines at the foot are at the left indeed.
    """
    outline = re.search(r' (?:d|points)="([^"]*)"', node)
    if outline is None:
        return node
    across = [float(number) for number in _NUMBER.findall(outline[1])[::2]]
    middle = f'text-anchor="middle" x="{(min(across) + max(across)) / 2:g}"'
    return re.sub(r'text-anchor="start" x="[^"]*"', middle, node, count=2)


def to_png(dot: str) -> bytes:
    """A PNG of `dot`. Raises MissingExtra."""
    data = _draw(dot, "png")
    chunk = _KEYWORD + b"\0" + fingerprint(dot).encode()
    header = data[:33]
    return header + _chunk(b"tEXt", chunk) + data[33:]


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def svg_drift(kept: str, fresh: str) -> str:
    """What is no longer true of the SVG `kept`; empty when nothing is."""
    old, new = _DRAWN_BY.search(kept), _DRAWN_BY.search(fresh)
    if old is None or new is None or old[2] != new[2]:
        return "it was drawn from another table"
    if _skeleton(kept) != _skeleton(fresh):
        return "its elements, texts or colours differ"
    if old[1] == new[1] and not _same_places(kept, fresh):
        return "its elements have other places"
    return ""


def _skeleton(svg: str) -> str:
    return _GEOMETRY.sub("", _COMMENT.sub("", svg))


def _places(svg: str) -> list[float]:
    drawn = _TEXT.sub("", svg)
    return [float(number) for place in _GEOMETRY.findall(drawn) for number in _NUMBER.findall(place)]


def _same_places(kept: str, fresh: str) -> bool:
    old, new = _places(kept), _places(fresh)
    return len(old) == len(new) and all(abs(one - other) <= NEAR for one, other in zip(old, new, strict=True))


def png_drift(kept: bytes, fresh: bytes) -> str:
    """What is no longer true of the PNG `kept`; empty when nothing is."""
    if kept == fresh:
        return ""
    if kept[:8] != fresh[:8] or kept[33:].find(_KEYWORD) != fresh[33:].find(_KEYWORD):
        return "it is not a PNG that was made here"
    if _mark(kept) != _mark(fresh):
        return "it was drawn from another table"
    sizes = zip(struct.unpack(">II", kept[16:24]), struct.unpack(">II", fresh[16:24]), strict=True)
    if any(abs(old - new) * 50 > new for old, new in sizes):
        return "it has another size"
    return ""


def _mark(png: bytes) -> bytes:
    """The fingerprint, which stands at a fixed place: behind the header, as to_png has put it."""
    return png[33 + 8 + len(_KEYWORD) + 1 :][:16]
