"""Medians, spreads, and numbers for people."""

import pytest

from benchmarks.summary import band, duration, figure, size, spread


def test_a_spread_is_the_median_and_the_outermost_rounds() -> None:
    found = spread([3.0, 1.0, 100.0, 2.0, 4.0])
    assert (found.median, found.low, found.high, found.rounds) == (3.0, 1.0, 100.0, 5)
    assert found.width == pytest.approx(33.0)


def test_one_round_has_no_band() -> None:
    assert band(spread([5.0])) == ""
    assert spread([0.0]).width == 0.0


def test_without_a_round_there_is_no_median() -> None:
    with pytest.raises(ValueError, match="no round"):
        spread([])


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (0.4226, "0.423"), (5.314, "5.31"), (26.44, "26.4"), (311.7, "312"), (4321, "4,320"), (74049, "74,000")],
)
def test_a_figure_has_about_three_digits(value: float, text: str) -> None:
    assert figure(value) == text


def test_a_band_is_from_lowest_to_highest() -> None:
    assert band(spread([25.12, 31.04, 26.0])) == "25.1-31.0"


@pytest.mark.parametrize(("seconds", "text"), [(0.00041, "410 µs"), (0.0021, "2.10 ms"), (1.3, "1.30 s")])
def test_a_duration_has_the_unit_that_suits_it(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_a_size_is_in_kibibytes_or_mebibytes() -> None:
    assert (size(1536), size(3 * 1024 * 1024)) == ("1.50 KiB", "3.00 MiB")
