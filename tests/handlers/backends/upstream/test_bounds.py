"""The bounds of a pool: the defaults, or a loop's limits."""

import pytest

from clerestory.handlers.backends.upstream.bounds import Bounds
from clerestory.server.config import Limits


def test_what_a_loop_does_not_say_is_the_default() -> None:
    assert Bounds.of({}) == Bounds()


@pytest.mark.parametrize(
    ("option", "field"),
    [
        ("upstream_max_connections", "max_connections"),
        ("upstream_max_waiting", "max_waiting"),
        ("upstream_slot_timeout", "slot_timeout"),
        ("upstream_max_requests", "max_served"),
        ("upstream_max_unrequested", "max_unrequested"),
        ("upstream_max_interim", "max_interim"),
        ("upstream_max_tunnels", "max_tunnels"),
        ("upstream_max_streams", "max_streams"),
        ("upstream_client_share", "client_share"),
        ("upstream_max_waiting_bytes", "max_waiting_bytes"),
    ],
)
def test_every_bound_is_an_option_of_the_server_with_the_same_default(option: str, field: str) -> None:
    assert getattr(Bounds(), field) == getattr(Limits(), option)
    assert Bounds.of({option: 3}) == Bounds()._replace(**{field: 3})
