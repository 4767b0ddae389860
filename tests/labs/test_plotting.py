"""The plots are whole SVG documents that have everything in their frame, and nothing on top of each other."""

import re
from itertools import pairwise
from xml.etree import ElementTree as ET

import pytest

from benchmarks.plot import WIDTH
from labs.plotting import LINE, Axis, Lane, Line, Span, Tone, lines, timeline

SVG = "{http://www.w3.org/2000/svg}"


def texts(svg: str, kind: str) -> list[ET.Element]:
    return [text for text in ET.fromstring(svg).iter(f"{SVG}text") if text.get("class") == kind]


def two_lines(*ends: float) -> str:
    plotted = [Line(f"line {at}", [(1, 1), (1000, end)], Tone.OURS) for at, end in enumerate(ends)]
    return lines("Title & more", "lead", plotted, Axis("clients", log=True), Axis("bytes"))


def test_a_plot_says_what_it_is_and_escapes_it() -> None:
    svg = two_lines(5)
    assert ET.fromstring(svg).get("aria-label") == "Title & more"
    assert "Title &amp; more" in svg


def test_names_stand_at_the_ends_of_their_lines_and_keep_apart() -> None:
    names = texts(two_lines(100, 100, 99, 2), "name")
    heights = sorted(float(name.get("y", 0)) for name in names)
    assert len(names) == 4
    assert all(later - earlier >= LINE - 0.11 for earlier, later in pairwise(heights))


def test_names_do_not_leave_the_plot_at_its_bottom() -> None:
    svg = two_lines(0, 0, 0, 0, 100)
    bottom = max(
        float(line.get("y2", 0)) for line in ET.fromstring(svg).iter(f"{SVG}line") if line.get("class") == "grid"
    )
    assert max(float(name.get("y", 0)) for name in texts(svg, "name")) <= bottom + 5


def test_a_logarithmic_axis_has_the_powers_of_ten() -> None:
    ticks = [tick.text for tick in texts(two_lines(50), "tick")]
    assert ticks[:4] == ["1", "10", "100", "1,000"]


def test_a_short_logarithmic_axis_has_figures_in_between_and_a_long_one_has_them_in_full() -> None:
    plotted = [Line("a", [(100, 1), (300, 2_000_000)])]
    ticks = [tick.text for tick in texts(lines("T", "l", plotted, Axis("x", log=True), Axis("y", log=True)), "tick")]
    assert ticks[:4] == ["100", "200", "500", "1,000"]
    assert ticks[-1] == "1,000,000"


def test_what_a_logarithmic_axis_has_no_place_for_is_left_out() -> None:
    plotted = [Line("some", [(1, 0), (10, 5)]), Line("none", [(1, 0)])]
    svg = lines("T", "l", plotted, Axis("x", log=True), Axis("y", log=True))
    assert len(list(ET.fromstring(svg).iter(f"{SVG}circle"))) == 1
    assert [name.text for name in texts(svg, "name")] == ["some"]


def test_points_lie_within_the_frame() -> None:
    for x, y in re.findall(r'<circle class="dot" cx="([\d.]+)" cy="([\d.]+)"', two_lines(3, 777)):
        assert 0 < float(x) < WIDTH
        assert 96 <= float(y) <= 416


def test_nothing_is_no_plot() -> None:
    with pytest.raises(ValueError, match="no line to draw"):
        lines("T", "l", [], Axis("x"), Axis("y"))
    with pytest.raises(ValueError, match="nothing has happened"):
        timeline("T", "l", [Lane("nobody")])


def test_a_timeline_has_a_band_for_each_span_and_a_mark_for_each_moment() -> None:
    spans = [Span(0, 0.2, Tone.QUIET, "waits"), Span(0.2, 0.5, Tone.OURS, "is served")]
    lanes = [Lane("one", spans, [(0.3, Tone.WARM)], [(0.1, Tone.WARM), (0.3, Tone.WARM)])]
    svg = timeline("T", "l", lanes, key=[(Tone.OURS, "served")])
    bands = [band for band in ET.fromstring(svg).iter(f"{SVG}rect") if band.get("class") == "band"]
    assert len(bands) == 2 + 1, "and one in the key"
    assert len(list(ET.fromstring(svg).iter(f"{SVG}polygon"))) == 2
    assert len([mark for mark in ET.fromstring(svg).iter(f"{SVG}line") if mark.get("class") == "mark"]) == 1
    assert "milliseconds" in svg


def test_a_text_that_does_not_fit_its_band_is_left_out() -> None:
    lanes = [
        Lane("one", [Span(0, 0.01, Tone.OURS, "far too long for so short a time"), Span(0.01, 2, Tone.QUIET, "fits")])
    ]
    svg = timeline("T", "l", lanes)
    assert "far too long" not in svg
    assert "fits" in svg
    assert "seconds" in svg
