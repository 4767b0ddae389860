"""Everything about one machine."""

from hypothesis import given
from hypothesis import strategies as st

from clerestory.server.xray.terminal.details import details
from clerestory.server.xray.terminal.text import Style
from tests.server.xray.terminal.samples import deadline, ended, idle, one, passage


def test_an_open_connection() -> None:
    assert details(one(), Style()) == [
        "17  GET /emails/7 QUERYING_BACKEND 1.2 s of 30 s <- work#1 RUNNING find 1.2 s",
        "",
        "  peer        127.0.0.1:5000, connected 62.0 s ago",
        "  state       QUERYING_BACKEND for 1.2 s: the handler runs or waits for an operation",
        "  waits for   work#1 RUNNING find 1.2 s",
        "  deadline    backend, 30 s: fires in 28.8 s",
        "  request     GET /emails/7 (17-3)",
        "  so far      3 requests, 120 B in, 0 B out",
        "  exchange    AWAITING_REQUEST 0.8 s",
        "  field       user-agent: curl/8",
        "  field       cookie: (redacted)",
        "",
        "    AGO  STAYED                IN                THEN",
        "  1.2 s   0.8 s  ########      AWAITING_REQUEST  HEAD_RECEIVED -> QUERYING_BACKEND",
        "    now   1.2 s  ############  QUERYING_BACKEND",
    ]


def test_one_that_has_ended() -> None:
    assert details(ended(), Style()) == [
        "connection 16 from 127.0.0.1:4999: ended by deadline in READING_HEAD after 12.0 s",
        "",
        "  peer        127.0.0.1:4999",
        "  ended       3.0 s ago, by deadline in READING_HEAD (DEADLINE_PASSED)",
        "  lasted      12.0 s",
        "  so far      0 requests, 3 B in, 0 B out",
        "",
        "     AGO  STAYED                IN                THEN",
        "  what came before is forgotten",
        "  13.0 s       -                AWAITING_REQUEST  HEAD_STARTED -> READING_HEAD",
        "   3.0 s  10.0 s  ############  READING_HEAD     !DEADLINE_PASSED -> CLOSED",
    ]


def test_of_one_that_is_asked_nothing_the_last_messages_are_shown() -> None:
    messages = {"received": ["GET /a HTTP/1.1", "host: x\x1b[2J"], "sent": ["HTTP/1.1 200 OK"]}
    lines = details(idle(7) | one(fields=[], **messages), Style())
    at = lines.index("  came last   GET /a HTTP/1.1")
    assert lines[at + 1] == "              host: x\\x1b[2J"
    assert lines[at + 2] == "  went last   HTTP/1.1 200 OK"
    busy = details(one(**messages), Style())
    assert not any("came last" in line for line in busy)
    assert "  went last   HTTP/1.1 200 OK" in busy


def test_a_paced_deadline_says_what_would_put_it_off() -> None:
    slow = one(deadline=deadline(name="send", by="rate", remaining=3.0))
    assert "  deadline    send, 30 s idle: fires in 3.0 s, unless bytes move faster" in details(slow, Style())
    late = one(deadline=deadline(remaining=-1.0))
    assert "  deadline    backend, 30 s: fires any moment now" in details(late, Style())
    assert "  deadline    none" in details(one(deadline=None), Style())


def test_where_an_application_waits_is_shown_as_a_traceback_is() -> None:
    stack = [
        {"file": "shop/web.py", "line": 12, "function": "order", "code": "return await fetch_order(7)"},
        {"file": "shop/\x1b.py", "line": 41, "function": "fetch_order", "code": ""},
    ]
    lines = details(one(stack=stack), Style())
    at = lines.index("  Where it waits (innermost call last):")
    assert lines[at + 1 : at + 5] == [
        '    File "shop/web.py", line 12, in order',
        "      return await fetch_order(7)",
        '    File "shop/\\x1b.py", line 41, in fetch_order',
        "",
    ]
    assert not any("Where it waits" in line for line in details(one(stack=[]), Style()))


def test_what_has_no_descriptor_has_a_name_and_no_peer() -> None:
    lines = details(one(id="application:4", descriptor=-4, peer="17-3"), Style())
    assert "  name        17-3, begun 62.0 s ago" in lines


def test_another_machine_has_no_peer_to_speak_of() -> None:
    lines = details(one(id="wakeup:5", peer="", age=None, request="", fields=[], spent={}, path=[]), Style())
    assert not any("peer" in line or "request" in line for line in lines)


@given(st.integers(36, 200))
def test_every_line_fits(width: int) -> None:
    many = one(fields=[["x" * 30, "y" * 300]], path=[passage(5000.0 + n) for n in range(32)], truncated=True)
    for shown in (many, one() | idle(), ended()):
        assert all(len(line) <= width for line in details(shown, Style(width)))


def test_fields_and_targets_are_made_printable() -> None:
    text = "\n".join(details(one(fields=[["x-\x1b", "\x07"]], request="GET /\x9b"), Style()))
    assert all(c.isprintable() or c == "\n" for c in text)


def test_what_tls_has_agreed_upon_is_shown() -> None:
    lines = details(one(tls="TLSv1.3, TLS_AES_256_GCM_SHA384"), Style())
    assert "  TLS         TLSv1.3, TLS_AES_256_GCM_SHA384" in lines
    assert not any("TLS" in line for line in details(one(tls=""), Style()))
