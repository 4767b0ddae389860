"""The SVG that is written: well-formed, to scale, readable on light and dark."""

import xml.etree.ElementTree as Xml

import pytest

from benchmarks.plot import BAR, Kind, Row, bars, nice_step
from benchmarks.summary import spread

SVG = "{http://www.w3.org/2000/svg}"
ROWS = [
    Row("ours & <more>", [spread([10.0, 12.0, 11.0]), spread([20.0])], Kind.OURS),
    Row("a peer", [spread([40.0]), None]),
]


def drawn() -> Xml.Element:
    return Xml.fromstring(bars('The "title"', "lead", ROWS, ("one", "two"), "µs", "the machine"))


def of_class(root: Xml.Element, tag: str, name: str) -> list[Xml.Element]:
    return [found for found in root.iter(SVG + tag) if found.get("class") == name]


def test_it_is_well_formed_whatever_the_names() -> None:
    assert drawn().get("aria-label") == 'The "title"'
    labels = [found.text for found in drawn().iter(SVG + "text")]
    assert {"ours & <more>", "a peer", "lead", "the machine", "not measured"} <= set(labels)


def test_bars_are_to_scale() -> None:
    ours, peer = (
        [float(bar.get("width", "0")) for bar in of_class(drawn(), "rect", kind) if bar.get("height") == str(BAR - 1.5)]
        for kind in ("ours", "peer")
    )
    assert peer[0] / ours[0] == pytest.approx(40 / 11, rel=0.01)
    assert ours[1] / ours[0] == pytest.approx(20 / 11, rel=0.01)


def test_everything_is_within_the_picture() -> None:
    root = drawn()
    width, height = float(root.get("width", "0")), float(root.get("height", "0"))
    for bar in root.iter(SVG + "rect"):
        assert float(bar.get("x", "0")) + float(bar.get("width", "0")) <= width
    for text in root.iter(SVG + "text"):
        assert 0 < float(text.get("y", "0")) < height


def test_only_a_bar_of_several_rounds_shows_their_span() -> None:
    assert len(of_class(drawn(), "line", "span")) == 1


def test_it_follows_the_readers_scheme() -> None:
    assert "prefers-color-scheme: dark" in bars("t", "l", ROWS, ("one", "two"), "µs")


def test_without_a_bar_there_is_no_plot() -> None:
    with pytest.raises(ValueError, match="no bar"):
        bars("t", "l", [Row("x", [None])], ("one",), "µs")


@pytest.mark.parametrize(("longest", "step"), [(6.0, 1.0), (7.0, 2.0), (100.0, 20.0), (290.0, 50.0), (0.42, 0.1)])
def test_marks_stand_at_round_figures(longest: float, step: float) -> None:
    assert nice_step(longest) == pytest.approx(step)
