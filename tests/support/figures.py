"""Figures that the tests measure on their way: printed when the run ends, asserted only where they cannot flake."""

FIGURES: list[str] = []


def figure(text: str) -> None:
    """Note a figure for the end of the run."""
    FIGURES.append(text)
