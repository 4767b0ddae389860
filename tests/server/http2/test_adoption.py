"""A connection is taken over with what has been read of it; and where HTTP/2 may be spoken."""

import subprocess
import sys

import pytest

from clerestory.handlers.api.messages import Response
from clerestory.server.http2 import MissingError, http2_of
from clerestory.server.http2.adoption import HTTP2
from tests.server.http2.support import Peer, head, speaking


def test_what_came_with_the_preface_is_not_lost() -> None:
    with speaking(lambda _: Response(b"hello")) as bench:
        peer = Peer(bench, begin=False)
        peer.begin(head())
        peer.flush()
        assert peer.answers[1].body == b"hello"
        machine = peer.machine
        assert machine.bytes_in >= len(b"PRI * HTTP/2.0")
        assert machine.accepted_at == peer.client.connection.accepted_at


@pytest.mark.parametrize(
    ("choice", "h2c", "secure", "offered"),
    [
        ("auto", False, False, False),
        ("auto", False, True, True),
        ("off", False, True, False),
        ("off", True, False, True),
        ("auto", True, False, True),
    ],
)
def test_it_is_offered_where_it_may_be_spoken(choice: str, h2c: bool, secure: bool, offered: bool) -> None:
    with speaking(lambda _: Response(b"")) as bench:
        assert isinstance(http2_of(bench.service, choice, h2c, secure), HTTP2) is offered


def test_without_the_library_it_is_not_and_who_asks_for_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ModuleNotFoundError(name="h2")

    monkeypatch.setattr("clerestory.server.http2.import_module", missing)
    assert http2_of(None, "auto", False, True) is None
    with pytest.raises(MissingError, match="pip install"):
        http2_of(None, "auto", True, False)


def test_another_module_that_is_missing_is_no_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ModuleNotFoundError(name="other")

    monkeypatch.setattr("clerestory.server.http2.import_module", missing)
    with pytest.raises(ModuleNotFoundError):
        http2_of(None, "auto", True, True)


def test_the_library_is_not_imported_with_the_server() -> None:
    code = "import sys, clerestory.server.process.serving; print('h2' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
