"""Start and stop hooks: in order, as functions and coroutines, and what becomes of one that fails."""

from dataclasses import replace
from typing import Any, Self

import pytest

from clerestory.handlers.api.operations import Operation
from clerestory.handlers.backends.timer import sleep
from clerestory.handlers.router import Router
from clerestory.handlers.sites import Site, Sites
from clerestory.server.config import Limits
from clerestory.server.loop.loop import Loop
from clerestory.server.loop.poller import open_poller
from clerestory.server.process.hooks import FAILED, Hooks, routers_of
from tests.server.support import RecordingLogs


class Stage:
    """A loop of its own, and the hooks of a router on it."""

    def __init__(self, router: Any, **limits: Any) -> None:
        self.logs = RecordingLogs()
        self.crashes: list[BaseException] = []
        self.loop = Loop(open_poller(), lambda _, error: self.crashes.append(error))
        self.hooks = Hooks(router, self.loop, replace(Limits(), **limits), self.logs)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.loop.close()
        assert self.crashes == []


def router_of(done: list[str]) -> Router:
    router = Router()

    @router.on_start
    def first() -> None:
        done.append("first")

    @router.on_start
    async def second() -> None:
        await sleep(0.001)
        done.append("second")

    @router.on_stop
    async def last() -> None:
        await sleep(0.001)
        done.append("last")

    @router.on_stop
    def before_last() -> None:
        done.append("before last")

    return router


def test_hooks_run_in_order_and_stop_hooks_in_the_opposite_one() -> None:
    done: list[str] = []
    with Stage(router_of(done)) as stage:
        assert stage.hooks.has_start
        assert stage.hooks.start() is None
        assert done == ["first", "second"]
        stage.loop.stop()
        stage.hooks.stop()
        assert done == ["first", "second", "before last", "last"]


def test_those_of_mounted_routers_and_of_sites_run_too() -> None:
    done: list[str] = []
    outer, inner = Router(), router_of(done)
    outer.mount("/inner", inner)
    assert list(routers_of(Sites([Site(outer, "/a"), Site(inner, "/b")]))) == [outer, inner]
    with Stage(outer) as stage:
        assert stage.hooks.start() is None
        assert done == ["first", "second"]


def test_without_hooks_nothing_runs() -> None:
    for application in (Router(), lambda request: None, object()):
        with Stage(application) as stage:
            assert not stage.hooks.has_start
            assert stage.hooks.start() is None
            stage.hooks.stop()


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_start_that_fails_is_told_in_one_line_with_its_place(asynchronous: bool) -> None:
    router = Router()

    def connect() -> None:
        raise OSError("no such host")

    async def later() -> None:
        await sleep(0)
        connect()

    router.on_start(later if asynchronous else connect)
    router.on_start(lambda: pytest.fail("the next one runs"))
    with Stage(router) as stage:
        events: list[tuple[str, str, str]] = []
        stage.logs.event = lambda level, name, **fields: events.append((level, name, fields["reason"]))  # type: ignore[method-assign]
        assert stage.hooks.start() == FAILED
        name = (later if asynchronous else connect).__qualname__
        line = connect.__code__.co_firstlineno + 1
        assert events == [("critical", "startup_failed", f"{name}: OSError: no such host ({__file__}:{line})")]


class Never(Operation):
    """An operation that does not end."""

    def __init__(self) -> None:
        self.cancelled = 0

    def start(self, executor: object) -> None: ...

    def cancel(self) -> None:
        self.cancelled += 1

    def describe(self) -> str:
        return "never"


def test_a_start_that_takes_too_long_is_given_up() -> None:
    router, never = Router(), Never()

    @router.on_start
    async def connect() -> None:
        await never

    with Stage(router, lifespan_startup_timeout=0.01) as stage:
        reasons: list[str] = []
        stage.logs.event = lambda level, name, **fields: reasons.append(fields["reason"])  # type: ignore[method-assign]
        assert stage.hooks.start() == FAILED
        assert never.cancelled == 1
        place = f"{__file__}:{connect.__code__.co_firstlineno}"
        assert reasons == [f"{connect.__qualname__}: TimeoutError: it has not ended within 0.01 s ({place})"]


def test_a_signal_ends_a_start() -> None:
    router = Router()
    with Stage(router) as stage:

        async def connect() -> None:
            stage.loop.stop()
            await Never()

        router.on_start(connect)
        assert Hooks(router, stage.loop, Limits(), stage.logs).start() == 0


def test_a_stop_that_fails_does_not_keep_the_others() -> None:
    done: list[str] = []
    router = router_of(done)

    @router.on_stop
    def broken() -> None:
        raise KeyError("stop")

    with Stage(router) as stage:
        stage.hooks.stop()
        assert done == ["before last", "last"]
        assert stage.logs.take() == ["stop_hook_failed"]
