"""Each bound admits N and refuses N + 1, within a second; the next second begins anew."""

import pytest

from clerestory.server.config import Limits
from clerestory.server.http2.bounds import PER_UPDATE, SMALL, Bounds
from clerestory.server.http2.frames import (
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    ENHANCE_YOUR_CALM,
    HEADERS,
    PING,
    PRIORITY,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    Frame,
    Violation,
)

UNKNOWN = 0xB0


def frame(kind: int, size: int = 8, flags: int = 0) -> Frame:
    return Frame(kind, flags, 1, size, bytes(9 + size))


def bounds(**limits: int) -> Bounds:
    return Bounds(Limits(**limits), 1000)  # type: ignore[arg-type]


def refused(tally: Bounds, one: Frame, now: float = 5.0) -> str:
    with pytest.raises(Violation) as violation:
        tally.count(one, now)
    assert violation.value.code == ENHANCE_YOUR_CALM
    return violation.value.reason


def test_so_many_resets_and_no_more() -> None:
    tally = bounds(http2_max_resets=3)
    for _ in range(3):
        tally.count(frame(RST_STREAM), 5.0)
    assert refused(tally, frame(RST_STREAM), 5.9) == "More than 3 streams were reset within a second."


def test_what_we_reset_for_the_client_s_fault_counts_as_well() -> None:
    tally = bounds(http2_max_resets=3)
    for _ in range(3):
        tally.count_reset(5.0)
    refused(tally, frame(RST_STREAM))


def test_a_second_later_it_is_counted_anew() -> None:
    tally = bounds(http2_max_resets=3)
    for second in range(5):
        for _ in range(3):
            tally.count(frame(RST_STREAM), float(second))


@pytest.mark.parametrize("kind", [PING, SETTINGS, PRIORITY, UNKNOWN, WINDOW_UPDATE])
def test_so_many_control_frames_and_no_more(kind: int) -> None:
    tally = bounds(http2_max_controls=3)
    for _ in range(3):
        tally.count(frame(kind), 5.0)
    assert refused(tally, frame(kind)) == "More than 3 control frames within a second."


def test_data_with_next_to_nothing_in_it_is_one_too_unless_it_is_the_last() -> None:
    tally = bounds(http2_max_controls=3)
    for _ in range(3):
        tally.count(frame(DATA, SMALL - 1), 5.0)
    tally.count(frame(DATA, 0, END_STREAM), 5.0)
    tally.count(frame(DATA, SMALL), 5.0)
    refused(tally, frame(DATA, SMALL - 1))


def test_windows_that_are_opened_for_what_was_sent_are_not_counted() -> None:
    tally = bounds(http2_max_controls=1)
    tally.sent(PER_UPDATE)
    tally.sent(PER_UPDATE - 1)
    for _ in range(3):
        tally.count(frame(WINDOW_UPDATE), 5.0)
    refused(tally, frame(WINDOW_UPDATE))


def test_so_many_continuations_and_no_more() -> None:
    tally = bounds(http2_max_continuations=3)
    tally.count(frame(HEADERS), 5.0)
    for _ in range(3):
        tally.count(frame(CONTINUATION), 5.0)
    assert refused(tally, frame(CONTINUATION)) == "A field block has more than 3 CONTINUATION frames."


def test_each_block_has_its_own() -> None:
    tally = bounds(http2_max_continuations=3)
    for _ in range(4):
        tally.count(frame(HEADERS), 5.0)
        tally.count(frame(CONTINUATION), 5.0)
        tally.count(frame(CONTINUATION, flags=END_HEADERS), 5.0)


def test_a_block_has_so_many_bytes_and_no_more() -> None:
    tally = bounds()
    tally.count(frame(HEADERS, 600), 5.0)
    tally.count(frame(CONTINUATION, 400), 5.0)
    assert refused(tally, frame(CONTINUATION, 1)) == "A field block has more than 1000 bytes."
