"""The face of what carries an exchange: what it is made of, and what its defaults do."""

from typing import Any

import pytest

from clerestory.handlers.api.messages import File, Response, RouteLimits
from clerestory.server.connection.channel import Channel
from clerestory.statemachines.connection import TABLE
from tests.server.support import A, bench_of


def test_a_channel_cannot_be_without_a_method_of_the_face() -> None:
    with bench_of(lambda _: Response(b"")) as bench, pytest.raises(TypeError, match="abstract"):
        Channel(bench.service, bench.service.engine, -1, 1)  # type: ignore[abstract]


class Bare(Channel):
    def ends(self) -> tuple[str, Any]:
        return self.peer, None

    def outgoing(self, output: bytes, body: bytes | File = b"", tail: bytes = b"") -> None: ...

    def framed(self, before: bytes, size: int, last: bool, trailers: bytes) -> tuple[bytes, bytes]:
        return before, trailers

    def say(self, interim: bytes) -> bool:
        return bool(interim)

    def wants_next_request(self, response: Response) -> bool:
        return response.status < 500

    def heed_limits(self, limits: RouteLimits) -> None: ...


def test_a_channel_is_named_by_its_connection_s_number_and_its_request_s() -> None:
    with bench_of(lambda _: Response(b"")) as bench:
        one = Bare(bench.service, bench.service.engine, -1, 41, "client:1")
        one.requests = 7
        assert one.request_id() == "41-7"
        assert one.ends() == ("client:1", None)
        assert one.state is A


def test_its_times_are_those_of_its_own_states_unless_it_says_otherwise() -> None:
    with bench_of(lambda _: Response(b"")) as bench:
        one = Bare(bench.service, bench.service.engine, -1, 41)
        assert one.times() is one.spent
        assert len(one.times()) == len(TABLE.specs)
