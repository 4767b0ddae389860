"""What is in proportion is told from what is not."""

from tests.support.growth import grows_in_proportion


def test_what_is_in_proportion_passes() -> None:
    assert grows_in_proportion(lambda size: sum(range(size)), 10_000)


def test_what_is_quadratic_never_does() -> None:
    assert not grows_in_proportion(lambda size: [sum(range(size)) for _ in range(size)], 60)
