"""The library as a codec: what it is made to do otherwise, shown against its own client half."""

from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, RequestReceived, StreamReset
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes
from hpack import Encoder
from hypothesis import given
from hypothesis import strategies as st

from clerestory.server.config import Limits
from clerestory.server.http2.codec import LOOKED_AT, NO_RFC7540_PRIORITIES, REMEMBERED, Codec, list_size
from clerestory.server.http2.frames import (
    DATA,
    HEADERS,
    PREFACE,
    PROTOCOL_ERROR,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    Frame,
    Frames,
    Violation,
)
from tests.server.http2.support import head


class Pair:
    """A codec and a client, and what each has said to the other."""

    def __init__(self, **limits: int) -> None:
        self.limits = Limits(**limits)  # type: ignore[arg-type]
        self.codec = Codec(self.limits)
        self.client = H2Connection(H2Configuration(header_encoding=None, validate_outbound_headers=False))
        self.frames = Frames()
        self.codec.begin(self.limits)
        self.client.initiate_connection()
        self.exchange()

    def exchange(self) -> list[object]:
        events: list[object] = []
        for frame in self.frames.feed(self.client.data_to_send()):
            events += self.codec.receive(frame.data)
        self.client.receive_data(self.codec.take())
        return events

    def ask(self, *fields: tuple[bytes, bytes], end: bool = False) -> list[object]:
        self.client.send_headers(1, head(b"POST", b"/", *fields), end_stream=end)
        return self.exchange()


def test_our_settings_are_said() -> None:
    said = Pair(http2_max_streams=7, http2_window=70_000).client.remote_settings
    assert said.max_concurrent_streams == 7
    assert said.initial_window_size == 70_000
    assert said[SettingCodes.MAX_HEADER_LIST_SIZE] == list_size(Limits())
    assert said[NO_RFC7540_PRIORITIES] == 1


def test_a_window_is_never_less_than_what_a_client_may_send_before_it_knows_of_it() -> None:
    assert Pair(http2_window=1000).client.remote_settings.initial_window_size == 65_535


def test_the_connection_s_window_is_opened_at_once() -> None:
    assert Pair(http2_max_unread=500_000).client.outbound_flow_control_window == 500_000


@pytest.mark.parametrize("value", [b"5", b"x", b"-1", b"99999999999999999999"])
def test_a_content_length_is_ours_to_judge(value: bytes) -> None:
    pair = Pair()
    assert any(isinstance(event, RequestReceived) for event in pair.ask((b"content-length", value)))
    pair.client.streams[1]._expected_content_length = None
    pair.client.send_data(1, b"123456789", end_stream=True)
    assert any(isinstance(event, DataReceived) for event in pair.exchange())


def test_more_streams_than_we_say_are_ours_to_refuse() -> None:
    pair = Pair(http2_max_streams=1)
    pair.client.remote_settings._settings[SettingCodes.MAX_CONCURRENT_STREAMS].clear()
    pair.client.remote_settings[SettingCodes.MAX_CONCURRENT_STREAMS] = 100
    pair.client.remote_settings.acknowledge()
    for number in (1, 3):
        pair.client.send_headers(number, head())
    assert sum(isinstance(event, RequestReceived) for event in pair.exchange()) == 2


def test_a_violation_says_what_it_is_and_the_library_says_nothing() -> None:
    codec = Pair().codec
    with pytest.raises(Violation) as violation:
        codec.receive(bytes([0, 0, 4, 3, 0, 0, 0, 0, 0]) + bytes(4))  # RST_STREAM on stream 0
    assert violation.value.code == PROTOCOL_ERROR
    assert codec.take() == b""


def test_what_is_sent_on_a_stream_that_was_reset_is_nothing() -> None:
    pair = Pair()
    pair.ask()
    pair.client.reset_stream(1)
    assert any(isinstance(event, StreamReset) for event in pair.exchange())
    pair.codec.send_head(1, [(b":status", b"200")], False)
    pair.codec.send_data(1, b"x", True)
    pair.codec.reset(1, 0)
    pair.codec.open_window(1, 10)
    assert pair.codec.take() == b""
    assert (pair.codec.window(3), pair.codec.received_window(3)) == (0, 0)


def test_after_goaway_it_goes_on() -> None:
    pair = Pair()
    pair.ask(end=True)
    pair.codec.goaway(1, 0, "reason")
    pair.codec.send_head(1, [(b":status", b"200")], True)
    assert pair.codec.take().endswith(b"\x88")


def test_how_streams_have_ended_is_remembered_of_so_many() -> None:
    library = Pair().codec._library
    for number in range(2 * REMEMBERED):
        library._closed_streams[number] = None
    assert len(library._closed_streams) == REMEMBERED


def test_the_preface_is_not_awaited_twice() -> None:
    assert PREFACE not in Pair().codec.take()


@pytest.mark.parametrize("open_ones", [0, 50])
def test_streams_that_have_ended_are_forgotten_and_few_are_held_besides_the_open_ones(open_ones: int) -> None:
    pair = Pair()
    library = pair.codec._library
    most = 0
    for number in range(1, 2 * 1000, 2):
        pair.client.send_headers(number, head(b"GET"), end_stream=True)
        pair.exchange()
        if number >= 2 * open_ones:
            pair.codec.send_head(number, [(b":status", b"200")], True)
            pair.exchange()
        most = max(most, len(library.streams))
    assert most <= 1 + max(LOOKED_AT, 2 * (open_ones + 1))
    assert sum(stream.open for stream in library.streams.values()) == open_ones


def test_of_a_stream_that_is_forgotten_nothing_is_said() -> None:
    pair = Pair()
    for number in range(1, 4 * LOOKED_AT, 2):
        pair.client.send_headers(number, head(b"GET", b"/"), end_stream=True)
        pair.exchange()
        pair.codec.reset(number, 8)
        pair.exchange()
    assert 1 not in pair.codec._library.streams
    pair.codec.open_window(1, 100)
    pair.codec.send_data(1, b"", True)
    pair.codec.send_data(1, b"x", False)
    pair.codec.send_head(1, ((b":status", b"200"),), False)
    pair.codec.reset(1, 8)
    assert not pair.codec.output


class Plain(Codec):
    """A codec that leaves everything to the library."""

    def begun(self, frame: Frame) -> None:
        return None

    def widened(self, frame: Frame) -> bool:
        return False

    def send_head(self, stream: int, fields: Iterable[tuple[bytes, bytes]], ended: bool) -> None:
        with suppress(ProtocolError):
            if stream in self._library.streams:
                self._library.send_headers(stream, fields, end_stream=ended)
        self._gather()

    def send_data(self, stream: int, data: bytes, ended: bool) -> None:
        with suppress(ProtocolError):
            if stream in self._library.streams:
                self._library.send_data(stream, data, end_stream=ended)
        self._gather()

    def window(self, stream: int) -> int:
        try:
            return self._library.local_flow_control_window(stream)
        except ProtocolError:
            return 0


class Twins:
    """Two codecs that get the same frames, and are told to send the same: one of them has only the library."""

    def __init__(self) -> None:
        self.limits = Limits()
        self.ours, self.plain = Codec(self.limits), Plain(self.limits)
        for codec in (self.ours, self.plain):
            codec.begin(self.limits)
        self.encoder = Encoder()
        self.opened: list[int] = []

    def receive(self, frame: Frame) -> bool:
        """Whether the connection goes on."""
        found = [self._receive(codec, frame) for codec in (self.ours, self.plain)]
        assert found[0] == found[1]
        self.compare()
        return isinstance(found[0], list)

    @staticmethod
    def _receive(codec: Codec, frame: Frame) -> object:
        try:
            if frame.kind == HEADERS and (fields := codec.begun(frame)) is not None:
                return [(frame.stream, [(bytes(name), bytes(value)) for name, value in fields])]
            if frame.kind == WINDOW_UPDATE and codec.widened(frame):
                return []
            return [
                (event.stream_id, [(bytes(name), bytes(value)) for name, value in event.headers or ()])
                for event in codec.receive(frame.data)
                if isinstance(event, RequestReceived)
            ]
        except Violation as violation:
            return violation.code, violation.reason

    def both(self, name: str, *arguments: object) -> None:
        for codec in (self.ours, self.plain):
            getattr(codec, name)(*arguments)
        self.compare()

    def compare(self) -> None:
        ours, plain = self.ours, self.plain
        assert bytes(ours.output) == bytes(plain.output)
        assert ours.connection_window() == plain.connection_window()
        for number in range(1, 14):
            for told in ("window", "window_of", "received_window"):
                assert getattr(ours, told)(number) == getattr(plain, told)(number)
        one, other = ours._library, plain._library
        assert one.state_machine.state == other.state_machine.state
        assert one.highest_inbound_stream_id == other.highest_inbound_stream_id
        assert {number: vars(stream.state_machine) for number, stream in one.streams.items()} == {
            number: vars(stream.state_machine) for number, stream in other.streams.items()
        }


FIELDS = [(*head(b"GET", b"/a"), (b"x", b"y")), tuple(head(b"POST", b"/b")), tuple(head(b"GET", b"/c" * 300))]
HEADS = [
    ((b":status", b"200"), (b"x", b"y")),
    ((b":status", b"100"),),
    ((b":status", b"404"), (b"long", b"z" * 40_000)),
    [(b":status", b"200")],
    ((b"trailer", b"1"),),
]
streams = st.integers(0, 13)
frames = st.one_of(
    st.tuples(st.just("head"), streams, st.sampled_from([4, 5, 0, 1, 0x2C, 0x0D]), st.sampled_from(FIELDS)),
    st.tuples(st.just("window"), streams, st.sampled_from([0, 1, 70_000, 2**31 - 1, 2**31 + 5]), st.integers(3, 5)),
    st.tuples(st.just("data"), streams, st.sampled_from([0, 1]), st.integers(0, 100)),
    st.tuples(st.just("reset"), streams),
    st.tuples(st.just("settings"), st.sampled_from([1, 4, 5]), st.sampled_from([0, 100, 65_535, 20_000, 2**31 - 1])),
)
sent = st.one_of(
    st.tuples(st.just("send_head"), streams, st.sampled_from(HEADS), st.booleans()),
    st.tuples(st.just("send_data"), streams, st.sampled_from([b"", b"x" * 100, b"y" * 30_000]), st.booleans()),
    st.tuples(st.just("reset"), streams.filter(bool), st.just(8)),
    st.tuples(st.just("open_window"), streams, st.just(100)),
)


@given(st.lists(st.one_of(frames.map(lambda one: ("frame", one)), sent.map(lambda one: ("sent", one))), max_size=30))
def test_what_is_done_here_has_the_library_s_effect(steps: list[tuple[str, tuple[Any, ...]]]) -> None:
    twins = Twins()
    for where, (kind, *rest) in steps:
        if where == "sent":
            twins.both(kind, *rest)
        elif not twins.receive(made(twins.encoder, kind, *rest)):
            break


def made(encoder: Encoder, kind: str, *rest: Any) -> Frame:
    """A frame as a client may send it, or may not."""
    if kind == "head":
        number, flags, fields = rest
        return raw(HEADERS, flags, number, encoder.encode(fields))
    if kind == "window":
        number, size, length = rest
        return raw(WINDOW_UPDATE, 0, number, size.to_bytes(4, "big")[:length].ljust(length, b"\0"))
    if kind == "data":
        number, flags, length = rest
        return raw(DATA, flags, number, bytes(length))
    if kind == "reset":
        return raw(RST_STREAM, 0, rest[0], bytes(4))
    identifier, value = rest
    return raw(SETTINGS, 0, 0, identifier.to_bytes(2, "big") + value.to_bytes(4, "big"))


def raw(kind: int, flags: int, stream: int, payload: bytes) -> Frame:
    data = len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload
    return Frame(kind, flags, stream, len(payload), data)
