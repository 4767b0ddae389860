"""The upstreams, as their breakers, connections and queues show them; and what is said when some are down."""

from typing import Any

from clerestory.handlers.backends.upstream.health import FAILURES, Health
from clerestory.server.xray.observe.banners import banners
from clerestory.server.xray.observe.shares import Counts, key_of
from clerestory.server.xray.observe.upstreams import Upstream, down, upstreams
from tests.server.support import bench_of, hello
from tests.server.xray.support import ROOMY, cut_of


def one(name: str, *, is_up: bool = True, **more: Any) -> Upstream:
    return Upstream(name, "UP" if is_up else "DOWN", 3.0, 5, 1, "refused", 2.0, is_up=is_up, **more)


def test_nothing_is_said_where_all_are_up() -> None:
    assert down([]) == down([one("a:1"), one("b:1")]) == ""


def test_one_that_is_down_is_named_with_its_reason_and_since_when() -> None:
    assert down([one("a:1", is_up=False), one("b:1")]) == (
        "upstream a:1 has been down for 3.0 s: refused. The other 1 has all the requests."
    )
    assert down([one("a:1", is_up=False), one("b:1"), one("c:1")]).endswith("The other 2 have all the requests.")


def test_where_none_is_up_it_is_said_what_that_means_and_only_some_are_named() -> None:
    text = down([one(f"{number}:1", is_up=False) for number in range(7)])
    assert text.startswith("No upstream is up: upstream 0:1 has been down for 3.0 s: refused; ")
    assert text.endswith("; and 2 more. Requests are answered with 502 or 503.")


def test_they_are_found_by_their_breakers() -> None:
    with bench_of(hello) as bench:
        good, bad = Health("10.0.0.1:80", bench.loop), Health("10.0.0.2:80", bench.loop)
        good.succeeded()
        for _ in range(FAILURES):
            bad.failed("unreachable")
        bench.after(0.5)
        counts = {"upstream 10.0.0.1:80": Counts({key_of(0.5, 0): 3})}
        first, second = upstreams(cut_of(bench), counts)
        assert (first.name, first.state, first.is_up, first.answered, first.failed) == ("10.0.0.1:80", "UP", True, 1, 0)
        assert (first.failed_ago, second.p50) == (None, None)
        assert first.p50 is not None
        assert 0.5 <= first.p50 <= 0.63
        assert (second.state, second.is_up, second.failed, second.failure) == ("DOWN", False, 3, "unreachable")
        assert second.failed_ago is not None
        (banner,) = banners(cut_of(bench), ROOMY)
        assert (banner.kind, banner.level) == ("upstream", "warning")
        assert banner.text.startswith("Upstream 10.0.0.2:80 has been down for ")
        for _ in range(FAILURES):
            good.failed("unreachable")
        (banner,) = banners(cut_of(bench), ROOMY)
        assert banner.level == "critical"
        bench.after(2)
        tried = upstreams(cut_of(bench))
        assert [(up.state, up.is_up, up.may_be_asked) for up in tried] == [("TRYING", False, True)] * 2
        assert min(up.since for up in tried) >= 2, "it has not been up meanwhile"
        for health in (good, bad):
            health.retire()
        bench.settle()
        assert upstreams(cut_of(bench)) == []
