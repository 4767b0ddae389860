"""What a WebSocket may be closed with."""

import pytest

from clerestory.handlers.websocket.codes import LONGEST_REASON, check_close


@pytest.mark.parametrize("code", [1000, 1001, 1003, 1007, 1014, 3000, 4999])
def test_codes_that_may_be_sent(code: int) -> None:
    check_close(code, "x" * LONGEST_REASON)


@pytest.mark.parametrize("code", [999, 1004, 1005, 1006, 1015, 2999, 5000, "1000", None])
def test_codes_that_may_not_be_sent(code: object) -> None:
    with pytest.raises(ValueError, match="may not be sent"):
        check_close(code, "")


@pytest.mark.parametrize("reason", ["x" * (LONGEST_REASON + 1), "ü" * 62, b"bytes"])
def test_a_reason_is_short_text(reason: object) -> None:
    with pytest.raises(ValueError, match="at most 123 bytes"):
        check_close(1000, reason)
