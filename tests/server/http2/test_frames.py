"""Bytes are cut into frames, whatever pieces they came in; what is none is named."""

import pytest
from hyperframe.frame import DataFrame, PingFrame, SettingsFrame

from clerestory.server.http2.frames import (
    DATA,
    FRAME_SIZE_ERROR,
    LONGEST,
    PING,
    PREFACE,
    PROTOCOL_ERROR,
    SETTINGS,
    Frames,
    Violation,
)

STREAM = (
    PREFACE
    + SettingsFrame(0, settings={4: 70_000}).serialize()
    + PingFrame(0, opaque_data=b"12345678").serialize()
    + DataFrame(3, data=b"hello", flags=["END_STREAM"]).serialize()
)


def kinds(frames: Frames, data: bytes) -> list[tuple[int, int, int]]:
    return [(frame.kind, frame.stream, frame.size) for frame in frames.feed(data)]


EXPECTED = [(SETTINGS, 0, 6), (PING, 0, 8), (DATA, 3, 5)]


def test_frames_are_cut_from_what_comes_at_once() -> None:
    assert kinds(Frames(), STREAM) == EXPECTED


@pytest.mark.parametrize("cut", range(1, len(STREAM)))
def test_they_are_the_same_however_they_are_cut(cut: int) -> None:
    frames = Frames()
    assert kinds(frames, STREAM[:cut]) + kinds(frames, STREAM[cut:]) == EXPECTED


def test_they_are_the_same_byte_by_byte() -> None:
    frames = Frames()
    assert [found for byte in STREAM for found in kinds(frames, bytes([byte]))] == EXPECTED


def test_a_frame_has_its_payload() -> None:
    *_, data = Frames().feed(STREAM)
    assert (data.payload, data.flags) == (b"hello", 1)


@pytest.mark.parametrize("wrong", range(len(PREFACE)))
def test_another_preface_is_refused_at_its_first_wrong_byte(wrong: int) -> None:
    frames = Frames()
    assert list(frames.feed(PREFACE[:wrong])) == []
    with pytest.raises(Violation) as refused:
        list(frames.feed(b"\0"))
    assert refused.value.code == PROTOCOL_ERROR


def test_the_longest_frame_is_taken_and_one_byte_more_is_refused_by_its_header() -> None:
    frames = Frames()
    assert kinds(frames, PREFACE + DataFrame(1, data=b"x" * LONGEST).serialize()) == [(DATA, 1, LONGEST)]
    with pytest.raises(Violation) as refused:
        list(frames.feed((LONGEST + 1).to_bytes(3, "big") + bytes(6)))
    assert refused.value.code == FRAME_SIZE_ERROR


def test_what_came_before_an_offence_has_been_handed_out() -> None:
    found = []

    def feed(data: bytes) -> None:
        for frame in Frames().feed(data):
            found.append(frame.kind)  # noqa: PERF401 - what was handed out before it raises

    with pytest.raises(Violation):
        feed(STREAM + b"\xff\xff\xff" + bytes(6))
    assert found == [SETTINGS, PING, DATA]
