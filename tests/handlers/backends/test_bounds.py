"""The bounds of the backends: each is named once, has a reason, and leaves room."""

from handlers.backends.bounds import BOUNDS


def test_every_bound_is_named_once_and_says_why() -> None:
    options = [bound.option for bound in BOUNDS]
    assert len(set(options)) == len(options)
    for bound in BOUNDS:
        assert bound.default > 0
        assert len(bound.why) > 10
        assert isinstance(bound.default, float) == (bound.unit == "seconds")
