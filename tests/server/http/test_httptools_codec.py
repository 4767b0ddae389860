"""httptools behind the gate: the corpus again, and the same outcome as h11's for that and for whatever is generated."""

import random
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from clerestory.server.http import codec_for, h11_codec
from clerestory.server.http.gate import Disagreement
from tests.corpus import CASES, Case
from tests.server.http.driving import drive, keeps_its_word, outcomes
from tests.support.many import for_each

httptools = pytest.importorskip("httptools")
CODEC = codec_for("httptools")


@for_each("case", CASES, what=lambda case: case.what, shares=16)
def test_a_request_of_the_corpus_has_its_verdict_and_is_read_as_h11_reads_it(case: Case) -> None:
    found = outcomes(case.raw, "httptools")
    keeps_its_word(case, found[0])
    assert set(found) == {drive(case.raw, h11_codec.CODEC)}


def test_the_corpus_is_large_and_says_nothing_twice() -> None:
    assert len(CASES) >= 500
    assert len({case.raw for case in CASES}) == len(CASES)
    assert len({case.what for case in CASES}) == len(CASES)


SHORT = [case.raw for case in CASES if len(case.raw) < 1000]
SPICES = [
    b"\r\n", b"\r", b"\n", b"\r\n\r\n", b" ", b"\t", b":", b";", b",", b"\x00", b"\x7f", b"\x80", b"%", b"#", b'"',
    b"0", b"a", b"0\r\n", b"5\r\nhello\r\n", b"0\r\n\r\n", b"Host: b\r\n", b"Content-Length: 5\r\n",
    b"content-length:0\r\n", b"Transfer-Encoding: chunked\r\n", b"transfer-encoding:gzip\r\n", b"Connection: close\r\n",
    b"Upgrade: x\r\n", b"Connection: upgrade\r\n", b"Expect: 100-continue\r\n", b"HTTP/1.0", b"HTTP/1.1", b"http://b",
    b"POST", b"GET / ", b"{|}", b"^`", b'"<>', b"\\", b"%4", b"%%", b"?", b"HTTP/1.2", b" ; ", b"\t= ",
]  # fmt: skip


@some.composite
def mutated(draw: some.DrawFn) -> bytes:
    """A request of the corpus with a few bytes taken out and others put in."""
    raw = draw(some.sampled_from(SHORT))
    for _ in range(draw(some.integers(1, 3))):
        start = draw(some.integers(0, len(raw)))
        end = draw(some.integers(start, min(len(raw), start + 12)))
        spice = draw(some.sampled_from(SPICES) | some.binary(max_size=3))
        raw = raw[:start] + spice + raw[end:]
    return raw


TOKENS = some.text("abcXYZ019!#$%&'*+-.^_`|~", min_size=1, max_size=8).map(str.encode)
VALUES = some.binary(max_size=12).map(lambda value: bytes(b for b in value if b in b"\t" or 32 <= b != 127))
FIELDS = some.lists(some.tuples(TOKENS, VALUES), max_size=5)
PIECES = some.lists(some.binary(min_size=1, max_size=40), max_size=5)
NAMES_WITH_A_MEANING = {b"host", b"te", b"expect", b"connection"}


@some.composite
def composed(draw: some.DrawFn) -> bytes:
    """A well-formed request with any fields, and a body framed one way or another."""
    target = b"/" + draw(some.text("abc/%4?&=-._~:@!$'()*+,;[]{|}^`", max_size=20)).encode()
    lines = [draw(TOKENS) + b" " + target + b" HTTP/1.1", b"Host: a"]
    lines += [name + b":" + value for name, value in draw(FIELDS) if name.lower() not in NAMES_WITH_A_MEANING]
    pieces = draw(PIECES)
    body = b"".join(pieces)
    if draw(some.booleans()):
        extension = draw(some.sampled_from([b"", b"", b";a", b" ; a = b", b'\t;a="b ;"']))
        chunks = b"".join(b"%x%b\r\n%b\r\n" % (len(piece), extension, piece) for piece in pieces)
        return b"\r\n".join([*lines, b"Transfer-Encoding: chunked"]) + b"\r\n\r\n" + chunks + b"0\r\n\r\n"
    return b"\r\n".join([*lines, b"Content-Length: %d" % len(body)]) + b"\r\n\r\n" + body


def agree(raw: bytes, seed: int) -> None:
    chance = random.Random(seed)
    cuts = sorted(chance.choices(range(len(raw) + 1), k=6))
    whole = drive(raw, CODEC)
    assert not whole.disagreement
    for codec in (CODEC, h11_codec.CODEC):
        for ends in ((), range(1, len(raw)), cuts):
            assert drive(raw, codec, ends) == whole


@settings(max_examples=2000)
@given(mutated(), some.integers(0, 1000))
def test_both_parsers_agree_on_a_request_that_has_been_tampered_with(raw: bytes, seed: int) -> None:
    agree(raw, seed)


@settings(max_examples=500)
@given(composed(), some.integers(0, 1000))
def test_both_parsers_read_a_well_formed_request_alike(raw: bytes, seed: int) -> None:
    agree(raw, seed)
    assert drive(raw, CODEC).whole
    assert drive(raw, CODEC).taken == len(raw)


@settings(max_examples=300)
@given(some.binary(max_size=60), some.integers(0, 1000))
def test_both_parsers_agree_on_noise(raw: bytes, seed: int) -> None:
    agree(raw, seed)


class Recorder:
    """What llhttp says when it is left to itself."""

    def __init__(self) -> None:
        self.body = b""
        self.ended = False

    def on_body(self, piece: bytes) -> None:
        self.body += piece

    def on_message_complete(self) -> None:
        self.ended = True


KNOWN = (b"GET ", b"POST ", b"HEAD ", b"PUT ", b"DELETE ", b"OPTIONS ", b"\r\nGET ")


@for_each(
    "case",
    [case for case in CASES if case.whole and not case.status and case.alone and case.raw.startswith(KNOWN)],
    what=lambda case: case.what,
)
def test_llhttp_left_to_itself_finds_the_same_body_but_for_an_upgrade(case: Case) -> None:
    outcome = drive(case.raw, CODEC)
    recorder = Recorder()
    parser = httptools.HttpRequestParser(recorder)
    try:
        parser.feed_data(case.raw[: outcome.taken])
    except httptools.HttpParserUpgrade:
        # It takes what follows such a head for another protocol, even a body: hence a head of our own for bodies.
        assert b"upgrade" in dict(outcome.fields)
    else:
        assert recorder.body == outcome.body
    assert recorder.ended


def test_the_head_is_read_with_lower_case_names_and_stripped_values() -> None:
    head = b"GET /a?b HTTP/1.1\r\nHost:  x \r\nA-B:\t\r\na-b: \xff\r\n\r\n"
    assert CODEC.read_head(head) == ("GET", "/a?b", ((b"host", b"x"), (b"a-b", b""), (b"a-b", b"\xff")))


@pytest.mark.parametrize("method", ["BREW", "get", "PRI", "DESCRIBE", "X", "CONNECTED"])
def test_a_method_that_llhttp_does_not_read_is_read_all_the_same(method: str) -> None:
    head = method.encode() + b" /x HTTP/1.1\r\nHost: a\r\n\r\n"
    assert CODEC.read_head(head) == (method, "/x", ((b"host", b"a"),))


def test_a_head_that_asks_for_an_upgrade_is_read() -> None:
    head = b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"
    assert CODEC.read_head(head)[2][1:] == ((b"upgrade", b"x"), (b"connection", b"upgrade"))


@pytest.mark.parametrize(
    "head", [b"GET / HTTP/1.1\r\nA\r\n\r\n", b"GET /\x00 HTTP/1.1\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n"]
)
def test_a_head_that_llhttp_cannot_read_is_refused(head: bytes) -> None:
    with pytest.raises(Disagreement) as caught:
        CODEC.read_head(head)
    assert (caught.value.status, caught.value.reason) == (400, "The parser httptools cannot read this message.")


def test_auto_takes_httptools_where_it_is_installed() -> None:
    assert codec_for("auto") is codec_for() is codec_for("httptools") is CODEC
    assert CODEC.name == "httptools"


def test_auto_takes_h11_where_httptools_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "clerestory.server.http.httptools_codec")
    monkeypatch.setitem(sys.modules, "httptools", None)
    assert codec_for("auto") is h11_codec.CODEC


def test_asking_for_httptools_where_it_is_missing_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "clerestory.server.http.httptools_codec")
    monkeypatch.setitem(sys.modules, "httptools", None)
    with pytest.raises(ValueError, match=r"^the parser httptools is not installed: pip install httptools"):
        codec_for("httptools")


def test_another_missing_module_is_not_taken_for_httptools(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "clerestory.server.http.httptools_codec")
    monkeypatch.setitem(sys.modules, "clerestory.server.http.httptools_codec", None)
    with pytest.raises(ModuleNotFoundError):
        codec_for("auto")


def test_an_unknown_parser_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"^no parser is called 'llhttp': choose auto, h11 or httptools$"):
        codec_for("llhttp")
