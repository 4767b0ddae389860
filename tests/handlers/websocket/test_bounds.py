"""How much a WebSocket takes."""

from dataclasses import asdict

from clerestory.handlers.websocket.bounds import BOUNDS, bounds_of
from clerestory.server.config import Limits


def test_a_bound_has_its_default_where_the_loop_says_nothing() -> None:
    found = bounds_of({})
    assert found[: len(BOUNDS)] == tuple(bound.default for bound in BOUNDS)
    assert not found.compression


def test_the_options_set_the_bounds() -> None:
    options = {bound.option: number for number, bound in enumerate(BOUNDS, 1)}
    limits = asdict(Limits(**options, websocket_compression=True))  # type: ignore[arg-type]
    assert bounds_of(limits) == (*range(1, len(BOUNDS) + 1), True)
