"""Paths that have moved, and where a redirect never leads."""

import pytest

from clerestory.handlers.api.messages import Request
from clerestory.handlers.edge.redirects import Redirects, parse_redirect


def where(rule: str, target: str, base: str = "") -> tuple[int, bytes] | None:
    request = Request("GET", target, ())
    request.base = base
    response = Redirects([parse_redirect(rule)]).admit(request, 0.0)
    return None if response is None else (response.status, dict(response.fields)[b"location"])


@pytest.mark.parametrize(
    ("rule", "target", "found"),
    [
        ("/old=/new", "/old", (308, b"/new")),
        ("/old=/new", "/old?a=1&b", (308, b"/new?a=1&b")),
        ("/old=/new?x=1", "/old?a=1", (308, b"/new?x=1&a=1")),
        ("/old=/new,302", "/old", (302, b"/new")),
        ("/old=/", "/old", (308, b"/")),
        ("/a%20b=/c", "/a%20b", (308, b"/c")),
        ("/ab=/c", "/%61b", (308, b"/c")),
        ("/old=/new", "/old/", None),
        ("/old=/new", "/older", None),
        ("/old/*=/new/*", "/old/a/b%2Fc?q", (308, b"/new/a/b%2Fc?q")),
        ("/old/*=/new/*", "/old/", (308, b"/new/")),
        ("/old/*=/new/*", "/old", None),
        ("/old/*=/new", "/old/x", (308, b"/new")),
        ("/old/*=/new/*", "/old%2Fx", None),
        ("/a%2Fb/*=/new/*", "/a%2fb/c%2Fd", (308, b"/new/c%2Fd")),
        ("/a%2Fb=/new", "/a/b", None),
        ("/b/*=https://blog.example/*,301", "/b/x", (301, b"https://blog.example/x")),
        ("/b=https://blog.example", "/b", (308, b"https://blog.example")),
        ("/*=https://new.example/*", "/any/thing", (308, b"https://new.example/any/thing")),
    ],
)
def test_where_it_leads(rule: str, target: str, found: tuple[int, bytes] | None) -> None:
    assert where(rule, target) == found


@pytest.mark.parametrize("target", ["/x//evil.example", "/x///evil.example", "/x/%2Fevil.example", "/x//"])
def test_what_follows_never_names_another_host(target: str) -> None:
    found = where("/x/*=/*", target)
    assert found is not None
    assert not found[1].startswith(b"//")
    found = where("/x/*=https://a.example/*", target)
    assert found is not None
    assert found[1].startswith(b"https://a.example/")


def test_a_path_is_one_of_the_same_site() -> None:
    assert where("/old=/new", "/old", "/shop") == (308, b"/shop/new")
    assert where("/old=https://b.example/new", "/old", "/shop") == (308, b"https://b.example/new")


def test_the_first_that_matches_holds() -> None:
    redirects = Redirects(map(parse_redirect, ("/a/b=/1", "/a/*=/2")))
    found = [redirects.admit(Request("GET", path, ()), 0.0) for path in ("/a/b", "/a/c", "/b")]
    assert [dict(one.fields)[b"location"] if one else None for one in found] == [b"/1", b"/2", None]


@pytest.mark.parametrize(
    "text",
    [
        *("", "/a", "a=/b", "/a=b", "/a=//evil.example", "/a=/\\evil.example", "/a=javascript:x", "/a=ftp://b/"),
        *("/a*=/b", "/a/*/b=/c", "/a=/b/*", "/a/*=/b*", "/a/*=/b/*/c", "/a=/b,200", "/a=/b,304", "/a b=/c", "/a=/b c"),
    ],
)
def test_what_is_no_rule(text: str) -> None:
    with pytest.raises(ValueError, match=r"/|\*|status"):
        parse_redirect(text)
