"""The same server on each poller: what idle connections cost, and where the calls differ."""

from labs import platforms, portable
from labs.findings import Stage, Verdict


def test_idle_connections_cost_with_poll_and_select_and_not_with_epoll(stage: Stage) -> None:
    found = portable.run(stage)
    cost = found.figures
    assert cost["poll 900"] > 2 * cost["epoll 900"]
    assert cost["select 900"] > 2 * cost["epoll 900"]
    assert cost["poll 900"] / cost["poll 10"] > cost["epoll 900"] / cost["epoll 10"]
    (claim,) = found.claims
    assert claim.verdict is Verdict.HOLDS
    assert "portable" in found.plots


def test_select_says_where_its_bound_is_and_the_others_have_none() -> None:
    assert platforms.bound_of_select() == "select(2) holds descriptors below 1024, not 1024"
    assert portable.room("select") == 992
    assert portable.room("epoll") == portable.room("poll") == float("inf")


def test_a_reset_is_told_by_epoll_and_poll_to_whoever_asks_for_nothing_and_not_by_select() -> None:
    assert platforms.reset_as_told_by("epoll") == platforms.reset_as_told_by("poll") == "ERR HUP"
    assert platforms.reset_as_told_by("select") == "0 reports"
