"""Heads and bodies as the connection reads them: what is remembered, what is consumed, what is refused and when."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from clerestory.handlers.api.messages import Fields, Request
from clerestory.server.config import Limits
from clerestory.server.http import Codec, codec_for
from clerestory.server.http.gate import JUDGED, Disagreement, Refusal
from clerestory.server.http.reading import MAX_REPEATED, BodyReader, HeadReader
from tests.corpus import CASES
from tests.server.http.driving import LIMITS, drive
from tests.support.growth import grows_in_proportion

CODECS = [codec_for("h11"), codec_for("auto")]
H11 = CODECS[0]


class Counting:
    """A codec that counts the heads it is given, and keeps the last."""

    name = "counting"

    def __init__(self) -> None:
        self.heads = 0
        self.last = b""

    def read_head(self, head: bytes) -> tuple[str, str, Fields]:
        self.heads += 1
        self.last = head
        return H11.read_head(head)


def read(reader: HeadReader, data: bytes) -> Request:
    request = reader.read(data)
    assert request is not None
    return request


def facts(request: Request) -> dict[str, object]:
    return {name: getattr(request, name) for name in Request.__slots__}


def refusal(work: Callable[[], object]) -> tuple[int, str]:
    with pytest.raises(Refusal) as caught:
        work()
    assert not isinstance(caught.value, Disagreement)
    return caught.value.status, caught.value.reason


def get(target: bytes, *fields: bytes, version: bytes = b"1") -> bytes:
    lines = [b"GET " + target + b" HTTP/1." + version, b"Host: a.example", *fields]
    return b"\r\n".join(lines) + b"\r\n\r\n"


# --- heads


@pytest.mark.parametrize("codec", CODECS, ids=lambda codec: codec.name)
def test_a_head_becomes_a_request(codec: Codec) -> None:
    limits = replace(LIMITS, max_body=77)
    reader = HeadReader(limits, codec, "192.0.2.1:5")
    raw = b"POST http://b.example/p?q HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nConnection: close\r\n"
    request = read(reader, raw + b"Content-Length: 5\r\n\r\nhello")
    assert (request.method, request.target, request.path, request.query) == ("POST", "http://b.example/p?q", "/p", "q")
    assert (request.authority, request.minor, request.peer) == (b"b.example", 1, "192.0.2.1:5")
    assert (request.content_length, request.chunked, request.body_limit) == (5, False, 77)
    assert (request.expects_continue, request.keep_alive, request.body_ended) == (True, False, False)
    assert request.get(b"host") == b"a"
    assert reader.consumed == len(raw) + 21


def test_one_reader_reads_one_head_after_the_other() -> None:
    reader = HeadReader(LIMITS, H11)
    stream = get(b"/1") + b"\r\n" + get(b"/2", b"A: b") + get(b"http://b/3") + get(b"/4", version=b"0") + get(b"/5")
    targets = []
    while stream:
        request = read(reader, stream)
        targets.append((request.target, request.minor, request.authority))
        stream = stream[reader.consumed :]
    host = b"a.example"
    assert targets == [("/1", 1, host), ("/2", 1, host), ("http://b/3", 1, b"b"), ("/4", 0, host), ("/5", 1, host)]


def test_an_ignored_empty_line_is_consumed_with_the_head() -> None:
    reader = HeadReader(LIMITS, H11)
    assert reader.read(b"\r\n") is None
    read(reader, b"\r\n" + get(b"/") + b"more")
    assert reader.consumed == 2 + len(get(b"/"))


def test_only_this_messages_bytes_reach_the_codec() -> None:
    codec = Counting()
    read(HeadReader(LIMITS, codec), b"\r\n" + get(b"/") + b"GET /secret")
    assert codec.last == get(b"/")


def test_a_codec_is_not_asked_about_what_the_gate_refuses() -> None:
    codec = Counting()
    for case in CASES:
        before = codec.heads
        if case.status:
            refused = drive(case.raw, codec)
            assert (refused.status, refused.reason) == (case.status, case.reason)
            # A body is refused after a good head, whichever it is.
            assert codec.heads == before or b"hunked" in case.raw or case.status == 413


def test_a_codec_that_cannot_read_what_the_gate_admitted_ends_in_400() -> None:
    class Blind(Counting):
        name = "blind"

        def read_head(self, head: bytes) -> tuple[str, str, Fields]:
            raise Disagreement(self.name)

    with pytest.raises(Disagreement, match="The parser blind cannot read this message"):
        HeadReader(LIMITS, Blind()).read(get(b"/"))


# --- what a connection repeats


def test_a_repeated_block_is_answered_from_memory_and_cannot_be_told_from_a_full_reading() -> None:
    codec = Counting()
    reader = HeadReader(LIMITS, codec, "peer")
    fields = (b"A: b", b"Connection: close, x")
    read(reader, get(b"/first", *fields))
    for target in (b"/", b"/second?x=%20", b"//", b"/first"):
        for method in (b"GET", b"POST", b"DELETE", b"BREW", b"get"):
            raw = get(target, *fields).replace(b"GET", method, 1)
            remembered = read(reader, raw + b"NEXT")
            assert codec.heads == 1
            assert reader.consumed == len(raw)
            assert facts(remembered) == facts(read(HeadReader(LIMITS, H11, "peer"), raw))


def test_a_line_that_is_rewritten_is_answered_from_memory_too() -> None:
    """Targets with bare bytes, higher minor versions, empty lines: what is rewritten is the line, not the block."""
    codec = Counting()
    reader = HeadReader(LIMITS, codec, "peer")
    read(reader, get(b"/first", b"A: b"))
    for raw in (get(b"/|?{%", b"A: b"), b"\r\n" + get(b"/", b"A: b"), get(b"/", b"A: b", version=b"7")):
        remembered = read(reader, raw + b"NEXT")
        assert (codec.heads, reader.consumed) == (1, len(raw))
        assert facts(remembered) == facts(read(HeadReader(LIMITS, H11, "peer"), raw))
    for other in (get(b"http://b.example/|", b"A: b"), get(b"/|", b"A: c"), get(b"/|", b"A: b", version=b"0")):
        assert facts(read(reader, other)) == facts(read(HeadReader(LIMITS, H11, "peer"), other))
        assert codec.heads == 2
        read(reader, get(b"/first", b"A: b"))
        codec.heads = 1


def test_a_block_that_differs_in_one_byte_is_never_answered_from_memory() -> None:
    raw = get(b"/", b"A: b", b"Connection: close")
    block = raw.index(b"HTTP/1.") + 7
    codec = Counting()
    for at in range(block, len(raw)):
        for byte in (raw[at] ^ 1, raw[at] ^ 0x20, 0x20, 0x30, 0x0A, 0x0D):
            other = raw[:at] + bytes([byte]) + raw[at + 1 :]
            if other != raw:
                reader = HeadReader(LIMITS, codec)
                read(reader, raw)
                assert outcome(reader, other) == outcome(HeadReader(LIMITS, H11), other)


def test_a_block_that_is_longer_or_shorter_is_never_answered_from_memory() -> None:
    codec = Counting()
    reader = HeadReader(LIMITS, codec)
    read(reader, get(b"/"))
    assert read(reader, get(b"/", b"A: b")).get(b"a") == b"b"
    assert read(reader, get(b"/")).get(b"a") is None
    assert codec.heads == 3
    assert reader.read(get(b"/")[:-1]) is None
    assert read(reader, get(b"/")).target == "/"


# --- and what it varies


def test_of_a_block_that_differs_in_a_line_or_two_only_these_are_read() -> None:
    codec = Counting()
    reader = HeadReader(LIMITS, codec, "peer")
    read(reader, get(b"/", b"A: b", b"X-Id:  1 ", b"Cookie: c"))
    for changed in ([b"X-Id: 2"], [b"A: ", b"Cookie:"], [b"A: 1", b"X-Id: 3", b"Cookie: d"]):
        lines = {line.partition(b":")[0]: line for line in [b"A: b", b"X-Id:  1 ", b"Cookie: c", *changed]}
        raw = get(b"/?x", *lines.values())
        for heads in (1, 0):
            before = codec.heads
            assert facts(read(reader, raw + b"NEXT")) == facts(read(HeadReader(LIMITS, H11, "peer"), raw))
            assert codec.heads == before + heads, "and it is kept in the other's place"
            assert reader.consumed == len(raw)
        assert set(changed) <= set(codec.last.split(b"\r\n"))
        read(reader, get(b"/", b"A: b", b"X-Id:  1 ", b"Cookie: c"))


def test_a_line_that_means_something_to_the_connection_is_never_read_by_itself() -> None:
    values = {b"host": (b"a.example", b"b.example"), b"connection": (b"keep-alive", b"close")}
    for name in JUDGED:
        for spelt in (name, name.title()):
            old, new = values.get(name, (b"0", b"00"))
            first, second = (get(b"/", b"A: b", spelt + b": " + value) for value in (old, new))
            if name == b"host":
                first, second = (raw.replace(b"Host: a.example\r\n", b"") for raw in (first, second))
            codec = Counting()
            reader = HeadReader(LIMITS, codec)
            alone = outcome(HeadReader(LIMITS, H11), second)
            outcome(reader, first)
            assert outcome(reader, second) == alone
            assert codec.last in (b"", first, second)


@pytest.mark.parametrize(
    "line", [b"a: b", b"B: b", b"AA: b", b"A : b", b"A; b", b" A: b", b"A: b\x00", b"Host: b", b"Content-Length: 3"]
)
def test_a_line_of_another_name_is_never_taken_for_the_same_one(line: bytes) -> None:
    codec = Counting()
    reader = HeadReader(LIMITS, codec)
    read(reader, get(b"/", b"A: a", b"C: d"))
    raw = get(b"/", line, b"C: d")
    assert outcome(reader, raw) == outcome(HeadReader(LIMITS, H11), raw)
    assert codec.last in (raw, get(b"/", b"A: a", b"C: d"))


def test_a_block_without_a_line_has_nothing_that_varies() -> None:
    reader = HeadReader(LIMITS, H11, "peer")
    for raw in (b"GET /1 HTTP/1.0\r\nA: b\r\n\r\n", b"GET /2 HTTP/1.0\r\n\r\n", b"GET /3 HTTP/1.0\r\nA: c\r\n\r\n"):
        assert outcome(reader, raw) == outcome(HeadReader(LIMITS, H11, "peer"), raw)


def test_the_limits_hold_over_a_block_that_varies() -> None:
    reader = HeadReader(replace(LIMITS, max_field_line=30), Counting())
    read(reader, get(b"/", b"A: a"))
    assert read(reader, get(b"/", b"A: " + b"a" * 28)).get(b"a") == b"a" * 28
    read(reader, get(b"/", b"A: a"))
    assert refusal(lambda: reader.read(get(b"/", b"A: " + b"a" * 29))) == (431, "A field line is longer than 30 bytes.")


def test_a_block_that_grows_by_varying_is_not_kept_beyond_the_bound() -> None:
    codec = Counting()
    reader = HeadReader(LIMITS, codec)
    block = len(get(b"/", b"A: ")) - len(b"GET / HTTP/1.1\r\n")
    for size, whole in ((MAX_REPEATED - 1 - block, False), (MAX_REPEATED - block, True)):
        read(reader, get(b"/", b"A: b"))
        raw = get(b"/", b"A: " + b"a" * size)
        read(reader, raw)
        assert (codec.last == raw) is whole


@settings(max_examples=300)
@given(
    some.lists(
        some.lists(
            some.sampled_from(
                [
                    b"A: 1",
                    b"A: 2",
                    b"a: 1",
                    b"B:",
                    b"B: \t",
                    b"Connection: close",
                    b"Connection: b",
                    b"Expect: x",
                    b"C:d ",
                ]
            ),
            max_size=3,
        ),
        min_size=2,
        max_size=6,
    ),
    some.sampled_from(CODECS),
)
def test_what_varies_is_read_as_if_nothing_had_come_before(blocks: list[list[bytes]], codec: Codec) -> None:
    reader = HeadReader(LIMITS, codec, "peer")
    for fields in blocks:
        raw = get(b"/", *fields)
        alone = outcome(HeadReader(LIMITS, H11, "peer"), raw)
        assert outcome(reader, raw) == alone
        if not isinstance(alone, dict):
            break


def outcome(reader: HeadReader, raw: bytes) -> object:
    try:
        request = reader.read(raw)
    except Refusal as refused:
        return refused.status, refused.reason
    return facts(request) if request is not None else None


def test_another_version_is_never_answered_from_memory() -> None:
    codec = Counting()
    reader = HeadReader(LIMITS, codec)
    assert read(reader, get(b"/")).keep_alive
    assert not read(reader, get(b"/", version=b"0")).keep_alive
    assert read(reader, get(b"/")).keep_alive
    assert codec.heads == 3
    for _ in range(2):
        later = read(reader, get(b"/", version=b"2"))
        assert (later.minor, later.keep_alive) == (1, True)
    assert read(reader, get(b"/")).minor == 1
    status, _ = refusal(lambda: reader.read(get(b"/").replace(b"HTTP/1.1", b"HTTP/2.0")))
    assert status == 505


@pytest.mark.parametrize("framing", [b"Content-Length: 3", b"Transfer-Encoding: chunked", b"Content-Length: 03"])
def test_a_request_with_a_body_is_never_remembered(framing: bytes) -> None:
    codec = Counting()
    reader = HeadReader(LIMITS, codec)
    for _ in range(3):
        request = read(reader, get(b"/", framing))
        assert not request.body_ended
    assert codec.heads == 3


def test_a_body_between_does_not_disturb_what_is_remembered() -> None:
    codec = Counting()
    reader = HeadReader(LIMITS, codec)
    read(reader, get(b"/", b"A: b"))
    read(reader, get(b"/", b"Content-Length: 3"))
    assert read(reader, get(b"/2", b"A: b")).get(b"a") == b"b"
    assert codec.heads == 2


def test_a_long_block_is_not_kept() -> None:
    for spare, heads in ((0, 1), (1, 2)):
        codec = Counting()
        reader = HeadReader(LIMITS, codec)
        line = get(b"/").index(b"\r\n") + 2
        filler = b"A: " + b"a" * (MAX_REPEATED - 1 - len(get(b"/", b"A: ")) + line + spare)
        assert len(get(b"/", filler)) - line == MAX_REPEATED - 1 + spare
        read(reader, get(b"/", filler))
        read(reader, get(b"/", filler))
        assert codec.heads == heads


@pytest.mark.parametrize("line", [b"GET http://b.example/ HTTP/1.1", b"OPTIONS * HTTP/1.1", b"CONNECT /x HTTP/1.1"])
def test_a_line_of_another_form_is_read_in_full_over_a_remembered_block(line: bytes) -> None:
    reader = HeadReader(LIMITS, H11)
    read(reader, get(b"/"))
    raw = line + b"\r\nHost: a.example\r\n\r\n"
    assert outcome(reader, raw) == outcome(HeadReader(LIMITS, H11), raw)


def test_the_authority_of_an_absolute_target_is_not_remembered() -> None:
    reader = HeadReader(LIMITS, H11)
    assert read(reader, get(b"http://b.example/")).authority == b"b.example"
    assert read(reader, get(b"/")).authority == b"a.example"


def test_the_limits_hold_over_a_remembered_block() -> None:
    block = len(get(b"/")) - len(b"GET / HTTP/1.1\r\n")
    small = replace(LIMITS, max_request_line=30, max_head=28 + 2 + block - len(b" "))
    for limits, longest, beyond in (
        (small, 28, (431, f"The head is longer than {29 + block} bytes.")),
        (replace(small, max_head=32768), 30, (414, "The request line is longer than 30 bytes.")),
    ):
        reader = HeadReader(limits, Counting())
        read(reader, get(b"/"))
        target = b"/" + b"t" * (longest - len(b"GET / HTTP/1.1"))
        assert read(reader, get(target)).target == target.decode()
        assert refusal(lambda: reader.read(get(target + b"t"))) == beyond  # noqa: B023


@settings(max_examples=500)
@given(some.lists(some.sampled_from([case.raw for case in CASES if len(case.raw) < 200]), min_size=2, max_size=5))
def test_what_came_before_never_changes_what_is_read(raws: list[bytes]) -> None:
    reader = HeadReader(LIMITS, H11, "peer")
    for raw in raws:
        alone = outcome(HeadReader(LIMITS, H11, "peer"), raw)
        assert outcome(reader, raw) == alone
        if not isinstance(alone, dict):
            break  # a refused or unfinished head is the last one


# --- limits, both sides, on complete and on incomplete input

SMALL = replace(LIMITS, max_request_line=40, max_field_line=30, max_fields=4, max_head=120)


def verdicts(raw: bytes, limits: Limits) -> set[tuple[int, str, bool]]:
    found = [drive(raw, codec, ends, limits) for codec in CODECS for ends in ((), range(1, len(raw)), (len(raw) // 2,))]
    return {(each.status, each.reason, each.whole) for each in found}


ADMITTED = {(0, "", True)}


def test_a_request_line_of_the_limit_passes_and_one_byte_more_gets_414() -> None:
    target = b"/" + b"t" * 26
    assert len(b"GET " + target + b" HTTP/1.1") == 40
    assert verdicts(get(target), SMALL) == ADMITTED
    assert verdicts(get(target + b"t"), SMALL) == {(414, "The request line is longer than 40 bytes.", False)}
    assert verdicts(b"GET /" + b"t" * 36, SMALL) == {(414, "The request line is longer than 40 bytes.", False)}


def test_a_field_line_of_the_limit_passes_and_one_byte_more_gets_431() -> None:
    """A space behind the colon is not counted: a proxy adds it."""
    assert verdicts(get(b"/", b"A:" + b"a" * 28), SMALL) == verdicts(get(b"/", b"A: " + b"a" * 28), SMALL) == ADMITTED
    wide = {(431, "A field line is longer than 30 bytes.", False)}
    assert verdicts(get(b"/", b"A:" + b"a" * 29), SMALL) == verdicts(get(b"/", b"A: " + b"a" * 29), SMALL) == wide
    assert verdicts(get(b"/")[:-2] + b"A: " + b"a" * 29, SMALL) == wide
    assert verdicts(get(b"/", b"A: " + b"a" * 29, b"B: " + b"b" * 20), SMALL) == wide


def test_as_many_fields_as_the_limit_pass_and_one_more_gets_431() -> None:
    assert verdicts(get(b"/", *[b"A: b"] * 3), SMALL) == ADMITTED
    many = {(431, "There are more than 4 fields.", False)}
    assert verdicts(get(b"/", *[b"A: b"] * 4), SMALL) == many
    assert verdicts(get(b"/", *[b"A: b"] * 4)[:-6], SMALL) == many


@pytest.mark.parametrize("first", [True, False])
def test_as_many_fields_that_tell_the_way_as_the_bound_are_not_counted_and_one_more_is(first: bool) -> None:
    """A proxy adds them to a request at the limit. A second one reads it, and the same request again, alike."""
    wide = replace(SMALL, max_head=1000)
    usual = [b"A: b"] * 3
    for count, expected in ((8, ADMITTED), (9, {(431, "There are more than 4 fields.", False)})):
        way = [b"X-Forwarded-For: 192.0.2.1"] * count
        assert verdicts(get(b"/", *(way + usual if first else usual + way)), wide) == expected
        assert verdicts(get(b"/", *[b"A: b"] * 4, *way), wide) == {(431, "There are more than 4 fields.", False)}


def test_a_head_of_the_limit_passes_and_one_byte_more_gets_431() -> None:
    """Spaces behind colons, and fields that tell the way, are not counted up to a kibibyte: a proxy adds them."""
    fields = [b"A:" + b"a" * 26] * 2
    room = 120 + len(b" ") - len(get(b"/", *fields, b"B:"))  # the one of Host
    large = {(431, "The head is longer than 120 bytes.", False)}
    for added in ([], [b"Via: 1.1 x", b"Forwarded: for=192.0.2.1"]):
        wide = replace(SMALL, max_fields=9)
        assert verdicts(get(b"/", *fields, b"B:" + b"b" * room, *added), wide) == ADMITTED
        assert verdicts(get(b"/", *fields, b"B: " + b"b" * room, *added), wide) == ADMITTED
        assert verdicts(get(b"/", *fields, b"B:" + b"b" * (room + 1), *added), wide) == large
        assert verdicts(get(b"/", *fields, b"B: " + b"b" * (room + 1), *added), wide) == large


# --- bodies


def body_reader(limit: int, length: int | None = None, limits: Limits = LIMITS) -> tuple[Request, BodyReader]:
    request = Request("POST", "/", (), content_length=length, body_limit=limit)
    return request, BodyReader(request, limits)


TOO_LONG = (413, "The body is longer than 5 bytes.")


def test_a_body_of_known_length_is_taken_up_to_its_end() -> None:
    _, reader = body_reader(9, 5)
    assert reader.feed(b"") == (b"", 0)
    assert (reader.feed(b"he"), reader.ended) == ((b"he", 2), False)
    assert (reader.feed(b"lloGET /"), reader.ended) == ((b"llo", 3), True)
    assert reader.feed(b"GET /") == (b"", 0)


def test_a_request_without_a_body_is_ended_at_once() -> None:
    _, reader = body_reader(9, 0)
    assert reader.ended
    assert reader.feed(b"GET /") == (b"", 0)


def test_a_known_length_beyond_the_limit_gets_413_before_a_byte_is_read() -> None:
    _, good = body_reader(5, 5)
    assert good.feed(b"") == (b"", 0)
    _, bad = body_reader(5, 6)
    assert refusal(lambda: bad.feed(b"")) == TOO_LONG
    assert refusal(lambda: bad.feed(b"hello!")) == TOO_LONG


def test_chunks_beyond_the_limit_get_413_when_they_are_announced() -> None:
    _, good = body_reader(5)
    assert good.feed(b"3\r\nabc\r\n2\r\n") == (b"abc", 11)
    _, bad = body_reader(5)
    assert refusal(lambda: bad.feed(b"3\r\nabc\r\n3\r\n")) == TOO_LONG


def test_a_route_may_raise_or_lower_the_limit_at_any_feed() -> None:
    request, reader = body_reader(5, 9)
    request.body_limit = 9
    assert reader.feed(b"1234") == (b"1234", 4)
    request.body_limit = 8
    assert refusal(lambda: reader.feed(b"5")) == (413, "The body is longer than 8 bytes.")
    request, reader = body_reader(5)
    request.body_limit = 6
    assert reader.feed(b"6\r\nabcdef\r\n") == (b"abcdef", 11)
    request.body_limit = 5
    assert refusal(lambda: reader.feed(b"0\r\n\r\n")) == TOO_LONG


def test_chunks_are_decoded_and_what_follows_is_left() -> None:
    _, reader = body_reader(9)
    assert reader.feed(b"5\r\nhel") == (b"hel", 6)
    assert (reader.feed(b"lo\r\n0\r\nA: b\r\n"), reader.ended) == ((b"lo", 13), False)
    assert (reader.feed(b"\r\nGET / HTTP/1.1"), reader.ended) == ((b"", 2), True)
    assert reader.feed(b"GET /") == (b"", 0)


@settings(max_examples=300)
@given(some.binary(min_size=1, max_size=300), some.data())
def test_any_body_comes_out_as_it_went_in(body: bytes, data: some.DataObject) -> None:
    cuts = sorted(data.draw(some.sets(some.integers(1, len(body)), max_size=6)) | {len(body)})
    chunks, at = b"", 0
    for cut in cuts:
        chunks += b"%x;e\r\n%b\r\n" % (cut - at, body[at:cut])
        at = cut
    raw = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n"
    ends = data.draw(some.lists(some.integers(0, len(raw)), max_size=8).map(sorted))
    for codec in CODECS:
        found = drive(raw + b"GET", codec, ends)
        assert (found.body, found.taken, found.whole) == (body, len(raw), True)


# --- time


HOSTILE: dict[str, Callable[[int], bytes]] = {
    "fields": lambda size: b"GET / HTTP/1.1\r\n" + b"a:\r\n" * (size // 4),
    "long fields": lambda size: b"GET / HTTP/1.1\r\n" + (b"A: " + b"a" * 1019 + b"\r\n") * (size // 1024),
    "Connection fields": lambda size: b"GET / HTTP/1.1\r\n" + (b"Connection:" + b"," * 1011 + b"\r\n") * (size // 1024),
    "codings": lambda size: get(b"/", b"Transfer-Encoding:" + b"a," * (size // 2)),
    "a host": lambda size: get(b"/")[:-2] + b"Host:" + b"%41" * (size // 3) + b"\r\n\r\n",
    "a target": lambda size: get(b"/" + b"%41" * (size // 3)),
    "an authority": lambda size: get(b"http://" + b"[" * size),
    "line ends": lambda size: b"\r\n" * (size // 2),
    "no line ends": lambda size: b"\x00" * size,
}


@pytest.mark.parametrize("shape", HOSTILE)
def test_a_hostile_head_takes_time_in_proportion_to_its_size(shape: str) -> None:
    wide = replace(LIMITS, max_request_line=1 << 24, max_field_line=1 << 24, max_fields=1 << 24, max_head=1 << 24)

    def judge(size: int) -> None:
        raw = HOSTILE[shape](size)
        drive(raw, H11, limits=wide)
        drive(raw, H11)

    assert grows_in_proportion(judge, 1 << 14)
