"""Where a service is: its origins, each a host and a port, and one set of pools for each loop."""

from collections.abc import Iterator

import pytest

from clerestory.handlers.backends.upstream.origins import parse_origin
from clerestory.handlers.backends.upstream.upstream import Upstream
from tests.handlers.backends.upstreams import Bench


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.close()


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("http://127.0.0.1:9000", ("127.0.0.1", 9000, False)),
        ("http://a.example", ("a.example", 80, False)),
        ("http://a.example/", ("a.example", 80, False)),
        ("http://[::1]:81", ("::1", 81, False)),
        ("HTTP://a_b", ("a_b", 80, False)),
        ("https://a.example", ("a.example", 443, True)),
        ("HTTPS://[::1]:8443/", ("::1", 8443, True)),
    ],
)
def test_an_origin_is_a_host_and_a_port_and_whether_tls_is_spoken(url: str, origin: tuple[str, int, bool]) -> None:
    assert parse_origin(url) == origin


@pytest.mark.parametrize(
    "url",
    ["https://a/path", "a:80", "http://", "http://a/path", "http://a?q", "http://a#f", "http://u@a", "http://a:99999",
     "http://a:x", "http://a b", "http://\u00e9", "http://a\r\nb", "ftp://a", ""],
)  # fmt: skip
def test_what_is_no_origin_is_said(url: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - which of them is not the point
        Upstream(url)


def test_an_upstream_has_an_origin() -> None:
    with pytest.raises(ValueError, match="at least one"):
        Upstream()


def test_a_loop_has_one_site_and_another_loop_its_own(bench: Bench) -> None:
    other = Bench()
    upstream = Upstream("http://127.0.0.1:1", "http://127.0.0.1:2")
    site = upstream.site(bench.loop)
    assert [pool.where for pool in site.pools] == ["127.0.0.1:1", "127.0.0.1:2"]
    assert upstream.site(other.loop) is not site
    assert upstream.site(bench.loop) is site
    upstream.close()
    assert [pool.is_closed for pool in site.pools] == [True, True]
    other.close()
