"""The library as a codec: what it is made to do otherwise, shown against its own client half."""

import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, RequestReceived, StreamReset
from h2.settings import SettingCodes

from clerestory.server.config import Limits
from clerestory.server.http2.codec import LOOKED_AT, NO_RFC7540_PRIORITIES, REMEMBERED, Codec, list_size
from clerestory.server.http2.frames import PREFACE, PROTOCOL_ERROR, Frames, Violation
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
