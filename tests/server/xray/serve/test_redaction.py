"""What is shown of a message, and what is not."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from clerestory.handlers.api.messages import Request
from clerestory.server.xray.serve.redaction import fields_of, hidden, is_secret, message_lines
from clerestory.statemachines.contract import EXCERPT


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        ("authorization", True),
        ("Proxy-Authorization", True),
        ("Cookie", True),
        ("set-cookie", True),
        ("x-clerestory-token", True),
        ("x-api-key", True),
        ("x-session", True),
        ("host", False),
        ("user-agent", False),
        ("accept", False),
        ("x-goog-iap-jwt-assertion", True),
        ("x-hub-signature-256", True),
        ("x-db-passwd", True),
        ("x-otp", True),
        ("referer", False),
        ("x-csrf", True),
        ("X-XSRF", True),
        ("x-pin", True),
        ("x-access", True),
        ("x-goog-iap", True),
        ("x-whatever-comes-next", True),
        ("access-control-allow-origin", False),
        ("content-security-policy", False),
        ("sec-fetch-mode", False),
        ("sec-websocket-key", True),
        ("x-forwarded-for", False),
        ("x-forwarded-access-token", True),
        ("x-request-id", False),
        ("location", False),
        ("hosting", True),
    ],
)
def test_a_field_that_may_carry_credentials_is_known(name: str, secret: bool) -> None:
    assert is_secret(name) is secret
    assert fields_of(Request("GET", "/", ((name.encode(), b"value"),)), secrets=False) == [
        (name, "(redacted)" if secret else "value")
    ]
    assert message_lines(f"GET / HTTP/1.1\r\n{name}:value\r\n\r\n".encode())[1] == (
        f"{name}: {'(redacted)' if secret else 'value'}"
    )


def test_the_query_in_a_field_is_hidden_as_that_of_the_request_is() -> None:
    asked = Request("GET", "/", ((b"referer", b"https://shop.example/reset?code=abc"),))
    assert fields_of(asked, secrets=False) == [("referer", "https://shop.example/reset?...")]
    assert fields_of(asked, secrets=True) == [("referer", "https://shop.example/reset?code=abc")]
    assert fields_of(None, secrets=True) == []


def test_what_is_hidden_of_a_line() -> None:
    assert hidden("GET /a?b=c") == "GET /a?..."
    assert hidden("https://x/#access_token=word") == "https://x/#..."
    assert hidden("GET /path#word") == "GET /path#..."
    assert hidden("/cb#access_token=word") == "/cb#..."
    assert hidden("/cb#a?b") == "/cb#..."
    assert hidden("/cb?a#b") == "/cb?..."
    assert hidden("#word") == "#..."
    assert hidden("GET /a") == "GET /a"
    assert hidden("") == ""
    assert hidden("GET /a?b?c") == hidden("GET /a?") == "GET /a?..."
    assert hidden("http://me:word@example.org/a?b") == "http://(redacted)@example.org/a?..."


@pytest.mark.parametrize(
    ("data", "lines"),
    [
        (b"", []),
        (b"GET /a?b=c HTTP/1.1\r\nHost: x\r\n\r\n", ["GET /a?... HTTP/1.1", "Host: x"]),
        (b"\r\nGET / HTTP/1.1\nHost: x\n\nbody", ["GET / HTTP/1.1", "Host: x", "(4 bytes of what follows the head)"]),
        (b"GET /a?b=c", ["GET /a?..."]),
        (b"GE", ["GE"]),
        (b"GET / HTTP/1.1\r\nCoo", ["GET / HTTP/1.1", "(3 bytes that are no field line)"]),
        (b"GET / HTTP/1.1\r\nCookie: a=b", ["GET / HTTP/1.1", "Cookie: (redacted)"]),
        (
            b"GET / HTTP/1.1\r\nCookie: a=b\r\n c=d\r\nAuthorization Basic e",
            [
                "GET / HTTP/1.1",
                "Cookie: (redacted)",
                "(4 bytes that are no field line)",
                "(21 bytes that are no field line)",
            ],
        ),
        (b"GET http://me:word@x/ HTTP/1.1\r\n\r\n", ["GET http://(redacted)@x/ HTTP/1.1"]),
        (b"GET /a?b c HTTP/1.1\r\n\r\n", ["(19 bytes that are no request line)"]),
        (b"5 word", ["(6 bytes that are no request line)"]),
        (b"5 word\r\nmore\r\n", ["(6 bytes that are no request line)", "(4 bytes that are no field line)"]),
        (b"GET / HTTP/1", ["GET / HTTP/1"]),
        (b"GET / HTTP/1\r\n", ["(12 bytes that are no request line)"]),
        (b"CONNECT x.example:443 HTTP/1.1\r\n\r\n", ["CONNECT x.example:443 HTTP/1.1"]),
        (b"GET http://x.exam", ["GET http://..."]),
        (
            b"GET / HTTP/1.1\r\nOrigin: http://x\r\nReferer: http://y",
            ["GET / HTTP/1.1", "Origin: http://x", "Referer: http://..."],
        ),
        (b"\x16\x03\x01\x02\x00\x01", ["(6 bytes of a TLS handshake)"]),
        (b"HTTP/1.1 200 OK\r\nSet-Cookie: a\r\n\r\n", ["HTTP/1.1 200 OK", "Set-Cookie: (redacted)"]),
        (
            b"GET /\x1b[2J\x07\\ HTTP/1.1\r\nVia: \xc3\xa4\r\n\r\n",
            ["GET /\\x1b[2J\\x07\\\\ HTTP/1.1", "Via: \\xc3\\xa4"],
        ),
    ],
)
def test_the_lines_of_a_message(data: bytes, lines: list[str]) -> None:
    assert message_lines(data) == lines


def test_who_asks_for_secrets_is_shown_all_of_it() -> None:
    data = b"POST /a?b=c HTTP/1.1\r\nCookie: a=b\r\n\r\npassword=word\x1b[2J\r\n"
    assert message_lines(data, secrets=True) == [
        "POST /a?b=c HTTP/1.1",
        "Cookie: a=b",
        "",
        "password=word\\x1b[2J",
    ]


def test_what_was_cut_says_so() -> None:
    whole = b"GET / HTTP/1.1\r\nA: ".ljust(EXCERPT - 1, b"a")
    assert "..." not in message_lines(whole)
    assert message_lines(whole + b"a")[-1] == message_lines(whole + b"a", secrets=True)[-1] == "..."


PRINTABLE = re.compile(r"[ -~]*")


@given(st.binary(max_size=300), st.booleans())
@example(b"GET / HTTP/1.1\r\nA: \x9b31m\r\n\r\n", True)
def test_whatever_comes_is_shown_in_printable_characters(data: bytes, secrets: bool) -> None:
    assert all(PRINTABLE.fullmatch(line) for line in message_lines(data, secrets=secrets))


PLACES = (
    b"GET /?%b HTTP/1.1\r\n",
    b"GET http://%b@x/ HTTP/1.1\r\n",
    b"GET / HTTP/1.1\r\nCookie: %b\r\n",
    b"GET / HTTP/1.1\r\nX-Token :%b\r\n",
    b"GET / HTTP/1.1\r\nX: https://x/?%b\r\n",
    b"GET / HTTP/1.1\r\nX: y\r\n %b\r\n",
    b"GET / HTTP/1.1\r\nX: y\r\n\r\n%b",
    b"GET / HTTP/1.1\nX: y\n\r\n%b",
    b"GET / HTTP/1.1\rAuthorization: %b\r",
    b"GET / %b\r\n",
    b"HTTP/1.1 302 Found\r\nLocation: /?%b\r\n\r\n",
    b"HTTP/1.1 302 Found\r\nLocation: http://x/#%b\r\n\r\n",
    b"HTTP/1.1 302 Found\r\nLocation: /cb#access_token=%b\r\n\r\n",
    b"HTTP/1.1 302 Found\r\nLocation: #%b\r\n\r\n",
    b"GET /path#%b HTTP/1.1\r\n",
    b"GET / HTTP/1.1\r\nX-Pin: %b\r\n",
)


@given(st.sampled_from(PLACES), st.integers(0, 40))
def test_a_secret_is_not_shown_wherever_it_is_cut(place: bytes, cut: int) -> None:
    shown = message_lines((place % b"Hunter2Hunter2Hunter2")[: len(place) + cut])
    assert "Hunter2" not in "\n".join(shown)
