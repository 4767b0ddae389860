"""What a connection becomes behind a 101."""

from typing import Any

import pytest

from clerestory.handlers.api.upgrade import Upgrade
from tests.handlers.running import FakeExecutor


class Nothing(Upgrade):
    """An upgrade to a protocol in which nothing is said."""

    def __init__(self) -> None:
        self.cancelled = 0

    def protocol_name(self) -> bytes:
        return b"silence"

    def join(self, near: Any, early: bytes) -> None: ...

    def pass_on(self, end: Any, ready: int) -> None: ...

    def client_ended_first(self) -> bool:
        return False

    def cancel(self) -> None:
        self.cancelled += 1

    def describe(self) -> str:
        return "silence"


def test_it_is_not_awaited() -> None:
    """It is the body of a response: an application that awaits it is told so."""

    async def handler() -> None:
        await Nothing()

    with pytest.raises(TypeError, match="the body of a response"):
        FakeExecutor().run(handler())


def test_closing_the_body_cancels_it() -> None:
    upgrade = Nothing()
    upgrade.close()
    assert upgrade.cancelled == 1


def test_the_other_side_is_an_upstream_unless_it_says_otherwise() -> None:
    assert not Nothing().is_hosted()
    assert not Nothing().keeps_time()
