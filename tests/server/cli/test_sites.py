"""Several targets: which there are, and what holds for each."""

from typing import Any

import pytest

from clerestory.handlers.api.messages import RouteLimits
from clerestory.handlers.asgi.application import ASGI
from clerestory.handlers.sites import Sites
from clerestory.server.cli.arguments import parse
from clerestory.server.cli.settings import Settings, UsageError
from clerestory.server.cli.sites import plans_of, serve_all
from clerestory.server.cli.targets import Target


def settings(*words: str, sites: tuple[dict[str, Any], ...] = ()) -> Settings:
    return Settings(parse(words).given, sites, "x.toml")


def test_without_more_it_is_the_target_alone() -> None:
    found = settings("shop:app")
    (plan,) = plans_of(found)
    assert (plan.settings, plan.place, plan.target) == (found, "", "shop:app")
    (plan,) = plans_of(settings())
    assert plan.target is None


def test_what_is_mounted_stands_beside_the_target() -> None:
    plans = plans_of(
        settings("shop:app", "--mount", "/static=site/", "--mount", "/api/v1=api:app=x", "--root-path", "/r")
    )
    assert [(plan.prefix, plan.target, plan.settings["root_path"]) for plan in plans] == [
        ("", "shop:app", "/r"),
        ("/static", "site/", "/r/static"),
        ("/api/v1", "api:app=x", "/r/api/v1"),
    ]


def test_without_a_target_only_what_is_mounted_is_served() -> None:
    (plan,) = plans_of(settings("--mount", "/static=site/"))
    assert plan.target == "site/"


@pytest.mark.parametrize("text", ["x", "=x", "static=site/", "/static", "/static=", "/=site"])
def test_what_is_no_mount_is_told_what_one_is(text: str) -> None:
    with pytest.raises(UsageError, match=r"--mount: .* is not PATH=TARGET: write /static=site/"):
        settings("--mount", text)


def test_a_site_has_options_and_limits_of_its_own() -> None:
    site = {"host": "Shop.Example", "path": "/api/", "target": "shop:app", "max-body": "16M", "backend-timeout": 3600}
    (plan,) = plans_of(settings("--factory", sites=(site | {"lifespan": "off"},)))
    assert (plan.place, plan.target, plan.max_body) == ("shop.example/api", "shop:app", 16 << 20)
    assert plan.limits == RouteLimits(backend_timeout=3600.0)
    assert (plan.settings["lifespan"], plan.settings["factory"], plan.settings["root_path"]) == ("off", True, "/api")
    (plain,) = plans_of(settings(sites=({"target": "."},)))
    assert (plain.place, plain.limits, plain.max_body) == ("", None, None)


@pytest.mark.parametrize(
    ("site", "said"),
    [
        ({}, "it has no target"),
        ({"target": "a:b", "host": 7}, "host is a name"),
        ({"target": "a:b", "host": "a b"}, "host is a name"),
        ({"target": "a:b", "path": "api"}, "path begins with a slash"),
        ({"target": "a:b", "max-boddy": 1}, "there is no option max-boddy; did you mean max-body?"),
        ({"target": "a:b", "port": 1}, "there is no option port"),
        ({"target": "a:b", "max-body": "x"}, "max-body: 'x' is not a number of bytes"),
    ],
)
def test_a_wrong_site_is_named(site: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=r"^x.toml: \[\[site\]\]: ") as raised:
        plans_of(settings(sites=(site,)))
    assert said in str(raised.value)


def test_no_place_is_served_twice() -> None:
    with pytest.raises(UsageError, match="/a is served twice"):
        plans_of(settings("--mount", "/a=x:y", "--mount", "/a=z:y"))
    with pytest.raises(UsageError, match="every path is served twice"):
        plans_of(settings("x:y", sites=({"target": "z:y"},)))


def test_the_only_application_that_is_hosted_stands_for_all_and_each_is_closed() -> None:
    """The process starts it up; requests are begun with what stands before it."""
    closed: list[str] = []

    def resolve(found: Any) -> Target:
        name = found["target"]
        application: Any = ASGI(print) if name.startswith("asgi") else print
        return Target(application, name, lambda: closed.append(name))

    whole = serve_all(plans_of(settings("asgi:a", "--mount", "/static=site")), resolve)
    assert isinstance(whole.application, ASGI)
    assert isinstance(whole.application.front, Sites)
    assert whole.description == "asgi:a; site at /static"
    whole.close()
    assert sorted(closed) == ["asgi:a", "site"]
    with pytest.raises(UsageError, match="asgi:a and asgi:b"):
        serve_all(plans_of(settings("asgi:a", "--mount", "/b=asgi:b")), resolve)
    assert len(closed) == 4
    alone = serve_all(plans_of(settings("x")), resolve)
    assert alone.description == "x"
