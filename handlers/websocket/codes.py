"""Codes and reasons that WebSockets are closed with (RFC 6455 section 7.4)."""

LONGEST_REASON = 123
"""Bytes of a reason: a control frame has 125 (RFC 6455 section 5.5), of which the code takes two."""

NO_STATUS, ABNORMAL = 1005, 1006
"""What an application is told when the client gave no code, and when it has not said close (RFC 6455 section 7.4.1)."""
NORMAL, INTERNAL_ERROR, SERVICE_RESTART = 1000, 1011, 1012
"""What a client is told when the application returns, when it raises, and when the server ends."""
POLICY, INVALID = 1008, 1007
"""What a client is told that sends too many frames, or a text that is not UTF-8."""


def check_close(code: object, reason: object) -> None:
    """Raises ValueError for what an application may not close with."""
    if not isinstance(code, int) or not (code in (1000, 1001, 1002, 1003, *range(1007, 1015)) or 3000 <= code < 5000):
        raise ValueError(f"close code {code!r} may not be sent: write 1000, or a code from 3000 to 4999")
    if not isinstance(reason, str) or len(reason.encode("utf-8", "replace")) > LONGEST_REASON:
        raise ValueError(f"a reason is text of at most {LONGEST_REASON} bytes")
