"""An application is told by how it is called; what cannot be told is refused with what to write."""

import asyncio
import functools
from typing import Any

import pytest

from clerestory.handlers.asgi.application import ASGI
from clerestory.handlers.router import Router
from clerestory.handlers.wsgi.application import WSGI
from clerestory.server.cli.interfaces import How, InterfaceError, classify, host, is_module_name, load


async def asgi3(scope: Any, receive: Any, send: Any) -> None: ...


def asgi3_plain(scope: Any, receive: Any, send: Any) -> Any: ...


class Framework:
    async def __call__(self, scope: Any, receive: Any, send: Any) -> None: ...


class Flask:
    def __call__(self, environ: Any, start_response: Any) -> Any: ...


class Double:
    def __init__(self, scope: Any) -> None: ...

    async def __call__(self, receive: Any, send: Any) -> None: ...


def double(scope: Any) -> Any:
    return Double(scope)


def wsgi(environ: Any, start_response: Any) -> Any: ...


def handler(request: Any) -> Any: ...


async def coroutine_handler(request: Any) -> Any: ...


def factory() -> Any:
    return asgi3


def anything(*args: Any) -> Any: ...


def configured(scope: Any, receive: Any, send: Any, debug: bool = False) -> Any: ...


@pytest.mark.parametrize(
    ("found", "kind"),
    [
        (asgi3, "asgi3"),
        (asgi3_plain, "asgi3"),
        (Framework(), "asgi3"),
        (Framework().__call__, "asgi3"),
        (functools.partial(configured, debug=True), "asgi3"),
        (configured, "asgi3"),
        (Double, "asgi2"),
        (double, "asgi2"),
        (wsgi, "wsgi"),
        (Flask(), "wsgi"),
        (handler, "router"),
        (coroutine_handler, "router"),
        (Router(), "router"),
        (Router, None),
        (Framework, None),
        (anything, None),
        (3, None),
        (factory, None),
        (dict, None),
    ],
)
def test_what_it_is_is_told_by_how_it_is_called(found: Any, kind: str | None) -> None:
    assert classify(found) == kind


def test_an_asgi_application_is_hosted_as_it_was_asked_for() -> None:
    hosted, said = host(asgi3, "a:b", How(root_path="/r", spec_version="2.3", lifespan="off"))
    assert isinstance(hosted, ASGI)
    assert (hosted.called, hosted.lifespan, said) == (asgi3, "off", "the ASGI application a:b")


def test_asgi_2_is_called_twice() -> None:
    said: list[Any] = []

    class Application:
        def __init__(self, scope: Any) -> None:
            said.append(scope)

        async def __call__(self, receive: Any, send: Any) -> None:
            said.extend((receive, send))

    hosted, words = host(Application, "a:b", How())
    asyncio.run(hosted.called(1, 2, 3))
    assert (said, words) == ([1, 2, 3], "the ASGI 2 application a:b")


def test_a_factory_is_called_whether_it_is_found_out_or_named() -> None:
    def with_default(settings: str = "x") -> Any:
        return handler

    assert host(factory, "a:b", How())[1] == "the ASGI application made by a:b"
    assert host(with_default, "a:b", How(factory=True)) == (handler, "the application made by a:b")

    def broken() -> Any:
        raise ValueError("no settings")

    with pytest.raises(
        InterfaceError, match=r"a:b as a factory: .*test_interfaces.py, line \d+: ValueError: no settings"
    ):
        host(broken, "a:b", How())
    with pytest.raises(InterfaceError, match="is of type int, not a factory"):
        host(3, "a:b", How(factory=True))


def test_a_wsgi_application_is_hosted_in_threads() -> None:
    hosted, said = host(Flask(), "a:b", How())
    assert isinstance(hosted, WSGI)
    assert said == "the WSGI application a:b"
    assert isinstance(host(anything, "a:b", How("wsgi"))[0], WSGI)


def test_what_is_said_counts_and_not_what_it_looks_like() -> None:
    assert isinstance(host(anything, "a:b", How("asgi"))[0], ASGI)
    assert host(double, "a:b", How("router"))[0] is double
    assert isinstance(host(handler, "a:b", How("asgi"))[0], ASGI)


@pytest.mark.parametrize(
    ("found", "how", "said"),
    [
        (anything, How(), "a:b: its parameters do not show what it is: write --interface asgi, wsgi or router"),
        (Framework, How(), "a:b is a class: name an instance of it, or a function that makes one, with --factory"),
        (3, How(), "a:b is of type int and cannot be called with a request"),
        (3, How("asgi"), "a:b is of type int and cannot be called with a request"),
        (handler, How(root_path="/r"), "--root-path is for an ASGI or WSGI application"),
        (asgi3, How(trusted=("nobody",)), "--trust: 'nobody' does not appear to be an IPv4 or IPv6 network"),
    ],
)
def test_what_cannot_be_served_is_refused_in_one_line(found: Any, how: How, said: str) -> None:
    with pytest.raises(InterfaceError) as refused:
        host(found, "a:b", how)
    assert str(refused.value) == said


def test_an_application_is_looked_for_in_the_directory_that_was_named(tmp_path: Any) -> None:
    (tmp_path / "shop_of_tests.py").write_text("class A:\n    app = 'found'\n")
    assert load("shop_of_tests", "A.app", str(tmp_path)) == "found"
    with pytest.raises(InterfaceError, match=r"shop_of_tests has no attribute A\.ap; did you mean app\?"):
        load("shop_of_tests", "A.ap")
    with pytest.raises(InterfaceError, match="--app-dir /nowhere: there is no such directory"):
        load("shop_of_tests", "A.app", "/nowhere")
    with pytest.raises(InterfaceError, match="there is no module nowhere_of_tests"):
        load("nowhere_of_tests", "app")


def test_a_module_is_named_by_identifiers() -> None:
    assert is_module_name("a.b_c")
    assert not is_module_name("a/b")
