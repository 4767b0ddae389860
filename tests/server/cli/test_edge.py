"""From the settings to the edge of an application."""

from pathlib import Path

import pytest

from clerestory.handlers.api.messages import Response
from clerestory.handlers.edge.basic import Basic
from clerestory.handlers.edge.compression import Compression
from clerestory.handlers.edge.cors import CORS
from clerestory.handlers.edge.edge import Guarded
from clerestory.handlers.edge.hsts import HSTS
from clerestory.handlers.edge.pages import ErrorPages
from clerestory.handlers.edge.passwords import make
from clerestory.handlers.edge.rates import RateLimit
from clerestory.handlers.edge.redirects import Redirects
from clerestory.server.cli.arguments import parse
from clerestory.server.cli.edge import LONGEST_PAGE, PER_SITE, edge_of, tells_passwords, with_edge
from clerestory.server.cli.options.table import BY_NAME
from clerestory.server.cli.settings import Settings, UsageError
from clerestory.server.cli.tls import tls_of
from clerestory.server.cli.values import hsts, hsts_value, split_rate


def application(_: object) -> Response:
    return Response(b"")


def settings(*words: str) -> Settings:
    return Settings(parse(words).given)


def test_without_its_options_there_is_no_edge() -> None:
    assert with_edge(application, settings()) is application


def test_with_one_of_them_there_is() -> None:
    edged = with_edge(application, settings("--hsts", "1d"))
    assert isinstance(edged, Guarded)
    assert edged.inner is application


def test_what_a_site_may_set_is_an_option() -> None:
    assert set(PER_SITE) <= set(BY_NAME)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", b"max-age=0"),
        ("60", b"max-age=60"),
        ("365d", b"max-age=31536000"),
        ("1d,subdomains", b"max-age=86400; includeSubDomains"),
        ("365d,subdomains,preload", b"max-age=31536000; includeSubDomains; preload"),
        ("", b""),
    ],
)
def test_a_time_for_hsts(text: str, value: bytes) -> None:
    assert not text or hsts(text) == text
    assert hsts_value(text) == value


@pytest.mark.parametrize("text", ["", "x", "1y", "-1", "1d,preload", "364d,subdomains,preload", "1d,other", "1, d"])
def test_what_is_no_time_for_hsts(text: str) -> None:
    with pytest.raises(ValueError, match=r"HSTS|preload"):
        hsts(text)


@pytest.mark.parametrize("words", [("--hsts", "1d"), ("--redirect-http", "8080")])
def test_what_is_for_tls_is_refused_without_it(words: tuple[str, ...]) -> None:
    with pytest.raises(UsageError, match=words[0]):
        tls_of(settings(*words))
    assert tls_of(settings(*words, "--tls-self-signed")) is not None


def test_every_option_of_an_edge_makes_its_part(tmp_path: Path) -> None:
    (tmp_path / "users").write_text(f"frances:{make('horse')}\n")
    (tmp_path / "404.html").write_text("gone")
    edge = edge_of(
        settings(
            *("--compress", "--cors", "https://a.example", "--rate-limit", "10/s", "--redirect", "/a=/b"),
            *("--error-page", f"404={tmp_path / '404.html'}", "--basic-auth", str(tmp_path / "users"), "--hsts", "1d"),
        )
    )
    assert [type(one) for one in edge.checks] == [RateLimit, Redirects, CORS]
    assert [type(one) for one in edge.dressers] == [ErrorPages, CORS, HSTS, Compression]
    assert isinstance(edge.gate, Basic)


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("--cors", "*", "--cors-credentials"), "never allowed"),
        (("--basic-auth", "/nowhere/users"), "No such file"),
        (("--basic-auth", __file__), "USER:HASH|htpasswd"),
        (("--error-page", "404=/nowhere/404.html"), "No such file"),
    ],
)
def test_what_cannot_be_made_is_one_line(words: tuple[str, ...], why: str) -> None:
    with pytest.raises(UsageError, match=why):
        edge_of(settings(*words))


def test_a_page_of_so_many_bytes_and_one_more(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_bytes(b"x" * LONGEST_PAGE)
    assert edge_of(settings("--error-page", f"5xx={page}")).dressers
    page.write_bytes(b"x" * (LONGEST_PAGE + 1))
    with pytest.raises(UsageError, match="longer"):
        edge_of(settings("--error-page", f"5xx={page}"))


def test_passwords_without_tls_are_told_of() -> None:
    assert tells_passwords(settings("--basic-auth", "users"))
    assert not tells_passwords(settings("--basic-auth", "users", "--tls-self-signed"))
    assert not tells_passwords(settings())


@pytest.mark.parametrize(
    "words",
    [
        ("--cors", "https://a.example/"),
        ("--cors", "a.example"),
        ("--cors", "null"),
        ("--cors", "https://*"),
        ("--cors", "https://a.*.example"),
        ("--cors-methods", "GET PUT"),
        ("--rate-limit", "0/s"),
        ("--rate-limit", "10"),
        ("--rate-limit", "10/d"),
        ("--rate-limit", "1/s,burst=0"),
        ("--redirect", "/a"),
        ("--error-page", "200=x"),
        ("--error-page", "404"),
        ("--compress-type", "html"),
    ],
)
def test_what_is_no_value(words: tuple[str, ...]) -> None:
    with pytest.raises(UsageError, match=words[0]):
        parse(words)


def test_a_rate_is_requests_in_a_time_and_so_many_at_once() -> None:
    assert split_rate("10/s") == (10, 1.0, 10)
    assert split_rate("100/m,burst=5") == (100, 60.0, 5)
