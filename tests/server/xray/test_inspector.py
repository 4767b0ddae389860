"""The x-ray implements what the server offers: it observes, opens a view where one is asked for, and dumps."""

import inspect
from typing import Any, cast

import pytest

from clerestory.server.options import Options
from clerestory.server.process.inspector import Inspector as Interface
from clerestory.server.process.inspector import Overview, View
from clerestory.server.xray.inspector import Inspector
from clerestory.server.xray.serve.thread import XRay
from tests.server.support import GET, bench_of, hello

METHODS: list[tuple[type, type, str]] = [(Interface, Inspector, "open"), (Interface, Inspector, "dump")]
METHODS += [(Interface, Inspector, "open_behind"), (Interface, Inspector, "oversee")]
METHODS += [(View, XRay, name) for name in ("start", "announce", "close", "last_words")]
METHODS += [(Overview, XRay, "departed")]


@pytest.mark.parametrize(("interface", "kind", "name"), METHODS)
def test_it_is_called_as_the_interface_says(interface: type, kind: type, name: str) -> None:
    wanted = inspect.signature(getattr(interface, name)).parameters
    assert list(inspect.signature(getattr(kind, name)).parameters) == list(wanted)


def test_a_view_is_opened_where_one_is_asked_for() -> None:
    with bench_of(hello) as bench:
        inspector = Inspector()
        assert inspector.open(bench.service, Options(xray=""), cast("Any", bench.logs)) is None
        view = inspector.open(bench.service, Options(xray="127.0.0.1:0"), cast("Any", bench.logs))
        assert view is not None
        assert view.watch.recorder is inspector.observer
        view.close()


def test_a_dump_tells_of_those_that_are_open_and_of_those_that_ended_badly() -> None:
    with bench_of(hello) as bench:
        inspector = Inspector()
        bench.service.observer = inspector.observer
        client, quiet = bench.connect(), bench.connect()
        client.send(b"GET / HT")
        client.leave()
        quiet.send(GET)
        bench.settle()
        found = inspector.dump(bench.service)
        assert found["states"]["connection"] == {"AWAITING_REQUEST": 1}
        assert len(found["ended"]) == 1
