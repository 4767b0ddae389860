"""Cookies read and set: what a browser would refuse is an error where it is written."""

from typing import Any

import pytest

from clerestory.handlers.api.cookies import MOST, MOST_OF_ATTRIBUTE, cookie_field, parse_cookies


@pytest.mark.parametrize(
    ("field", "cookies"),
    [
        (b"", {}),
        (b"a=1; b=2", {"a": "1", "b": "2"}),
        (b"a=1;b=2;;", {"a": "1", "b": "2"}),
        (b"a=first; a=second", {"a": "first"}),
        (b'q="quoted"; e=; f="', {"q": "quoted", "e": "", "f": '"'}),
        (b"token=a=b==", {"token": "a=b=="}),
        (b"nothing; =nameless; a=1", {"a": "1"}),
        ("ä=ö".encode(), {"ä": "ö"}),
        (b"bad=\xff", {"bad": "�"}),
    ],
)
def test_the_cookies_of_a_request(field: bytes, cookies: dict[str, str]) -> None:
    assert parse_cookies(field) == cookies


def test_a_cookie_is_for_the_whole_site_and_not_for_scripts_unless_it_says_so() -> None:
    assert cookie_field("id", "7") == b"id=7; Path=/; SameSite=Lax; HttpOnly"
    open_field = cookie_field("id", "", path="", http_only=False, same_site="Strict")
    assert open_field == b"id=; SameSite=Strict"


def test_every_attribute_has_its_place() -> None:
    assert cookie_field(
        "__Secure-id",
        "a/b:c",
        max_age=60,
        expires=0.0,
        path="/shop",
        domain="example.org",
        secure=True,
        same_site="none",
        partitioned=True,
    ) == (
        b"__Secure-id=a/b:c; Max-Age=60; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Path=/shop; Domain=example.org;"
        b" SameSite=None; Secure; HttpOnly; Partitioned"
    )


@pytest.mark.parametrize(
    ("name", "value", "more", "message"),
    [
        ("", "x", {}, "a name is a token"),
        ("a b", "x", {}, "a name is a token"),
        ("a=b", "x", {}, "a name is a token"),
        ("a", "x y", {}, "urllib.parse.quote"),
        ("a", "x;y", {}, "urllib.parse.quote"),
        ("a", 'x"', {}, "urllib.parse.quote"),
        ("a", "x\r\nset-cookie: b=c", {}, "urllib.parse.quote"),
        ("a", "ä", {}, "urllib.parse.quote"),
        ("a", "x\\", {}, "urllib.parse.quote"),
        ("a", "x", {"path": "shop"}, "a path begins with a slash"),
        ("a", "x", {"path": "/;x"}, "Path is at most"),
        ("a", "x", {"domain": "x\r\ny"}, "Domain is at most"),
        ("a", "x", {"same_site": "sometimes"}, "same_site is strict, lax or none"),
        ("a", "x", {"same_site": "none"}, "need secure=True"),
        ("a", "x", {"partitioned": True}, "need secure=True"),
        ("__Secure-a", "x", {}, "needs secure=True"),
        ("__Host-a", "x", {"secure": True, "path": "/a"}, "no domain"),
        ("__Host-a", "x", {"secure": True, "domain": "a.org"}, "no domain"),
        ("__Host-a", "x", {}, "no domain"),
    ],
)
def test_what_a_browser_would_refuse_is_an_error(name: str, value: str, more: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        cookie_field(name, value, **more)


def test_a_cookie_is_as_long_as_browsers_keep_and_not_longer() -> None:
    assert len(cookie_field("a", "x" * (MOST - 1), path="")) > MOST
    with pytest.raises(ValueError, match=str(MOST + 1)):
        cookie_field("a", "x" * MOST)
    assert cookie_field("a", "x", path="/" * MOST_OF_ATTRIBUTE)
    with pytest.raises(ValueError, match="Path is at most"):
        cookie_field("a", "x", path="/" * (MOST_OF_ATTRIBUTE + 1))
