"""Rendered files: what they are, that they can be remade, and that a stale one is known."""

import re
import struct
import sys
import zlib

import pytest

from clerestory.diagrams import render
from clerestory.diagrams.dot import to_dot
from clerestory.diagrams.picture import picture_of
from clerestory.diagrams.render import MissingExtra, fingerprint, png_drift, svg_drift, to_png, to_svg
from clerestory.statemachines import process, wakeup

DOT = to_dot(picture_of(wakeup.TABLE))
OTHER = to_dot(picture_of(process.TABLE))
SVG = to_svg(DOT, "wakeup")
PNG = to_png(DOT)


def test_an_svg_is_named_for_those_who_can_not_see_it() -> None:
    assert '<svg role="img" aria-label="The state machine of wakeup" width=' in SVG
    assert SVG.count("<svg") == 1


def test_an_svg_says_what_drew_it_and_from_what() -> None:
    assert f"from {fingerprint(DOT)} -->" in SVG
    assert SVG.count("<!--") == 1
    assert "unknown" not in SVG


def test_an_svg_has_a_background_of_its_own() -> None:
    assert '<polygon fill="#fbfaf7"' in SVG


def test_the_name_of_a_state_is_anchored_in_the_middle_of_its_card() -> None:
    assert SVG.count('text-anchor="middle"') == 4
    node = SVG[SVG.index("WATCHING</title>") :]
    anchor = re.search(r'text-anchor="middle" x="([\d.]+)"', node)
    xs = [float(x) for x in re.findall(r"(\d+),-\d+", node[: node.index("<text")])]
    assert anchor is not None
    assert abs(float(anchor[1]) - (min(xs) + max(xs)) / 2) <= 1


def test_a_node_without_an_outline_is_left_as_it_is() -> None:
    bare = '<g id="node1" class="node"><text text-anchor="start" x="1">a</text></g>'
    assert render._centred(bare) == bare


def test_the_same_text_gives_the_same_picture() -> None:
    assert svg_drift(SVG, to_svg(DOT, "wakeup")) == ""
    assert png_drift(PNG, to_png(DOT)) == ""


def test_a_picture_of_another_table_is_known() -> None:
    assert svg_drift(to_svg(OTHER, "wakeup"), SVG) == "it was drawn from another table"
    assert png_drift(to_png(OTHER), PNG) == "it was drawn from another table"


def test_an_svg_without_its_mark_is_known() -> None:
    assert svg_drift(SVG.replace("drawn by", "made by"), SVG) == "it was drawn from another table"


@pytest.mark.parametrize(("old", "new"), [("CLOSE_ORDERED", "CLOSE_ASKED"), ("#1c5d99", "#ff0000")])
def test_an_svg_that_was_edited_is_known(old: str, new: str) -> None:
    assert (
        svg_drift(SVG.replace(f">{old}<", f">{new}<").replace(old, new), SVG) == "its elements, texts or colours differ"
    )


def test_an_svg_with_a_shape_moved_is_known() -> None:
    start = SVG.index(' cy="')
    moved = SVG[:start] + ' cy="-1' + SVG[start + len(' cy="-') :]
    assert svg_drift(moved, SVG) == "its elements have other places"


def test_a_text_may_begin_elsewhere_where_the_fonts_are_others() -> None:
    assert svg_drift(SVG.replace('text-anchor="start" x="', 'text-anchor="start" x="7'), SVG) == ""


def test_another_graphviz_may_place_things_otherwise_but_not_draw_others() -> None:
    version = SVG[SVG.index("Graphviz ") : SVG.index(" from ")]
    older = SVG.replace(version, "Graphviz 9.0.0").replace(' cy="', ' cy="1')
    assert svg_drift(older, SVG) == ""
    assert svg_drift(older.replace("WATCHING", "SLEEPING"), SVG) == "its elements, texts or colours differ"


def chunks(png: bytes) -> list[tuple[bytes, bytes]]:
    found, place = [], 8
    while place < len(png):
        (length,) = struct.unpack(">I", png[place : place + 4])
        kind, data = png[place + 4 : place + 8], png[place + 8 : place + 8 + length]
        assert struct.unpack(">I", png[place + 8 + length : place + 12 + length])[0] == zlib.crc32(kind + data)
        found.append((kind, data))
        place += 12 + length
    return found


def test_a_png_carries_its_fingerprint_behind_its_header() -> None:
    found = chunks(PNG)
    assert [kind for kind, _ in found[:2]] == [b"IHDR", b"tEXt"]
    assert found[1][1] == b"Source\0" + fingerprint(DOT).encode()
    assert found[-1] == (b"IEND", b"")


def resized(png: bytes, wide: int) -> bytes:
    return png[:16] + struct.pack(">I", wide) + png[20:]


def test_a_png_may_differ_a_little_in_size_and_not_more() -> None:
    (wide,) = struct.unpack(">I", PNG[16:20])
    assert png_drift(resized(PNG, wide + wide // 50), PNG) == ""
    assert png_drift(resized(PNG, wide + wide // 50 + 1), PNG) == "it has another size"


@pytest.mark.parametrize("kept", [b"", b"not a picture", PNG[:33] + PNG[33 + 12 + 7 + 16 :]])
def test_what_was_not_made_here_is_known(kept: bytes) -> None:
    assert png_drift(kept, PNG) == "it is not a PNG that was made here"


def test_without_graphviz_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pygraphviz", None)
    with pytest.raises(MissingExtra, match=r"SVG and PNG are drawn by Graphviz: pip install pygraphviz"):
        to_svg(DOT, "wakeup")
