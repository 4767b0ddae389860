"""h11 behind the gate: every request of the corpus, however it is cut; and bytes that no gate has seen."""

import h11
import pytest

from clerestory.server.http import codec_for
from clerestory.server.http.gate import Disagreement
from clerestory.server.http.h11_codec import CODEC
from tests.corpus import CASES, Case
from tests.server.http.driving import drive, keeps_its_word, outcomes
from tests.support.many import for_each


@for_each("case", CASES, what=lambda case: case.what, shares=16)
def test_a_request_of_the_corpus_has_its_verdict_however_it_is_cut(case: Case) -> None:
    found = outcomes(case.raw, "h11")
    keeps_its_word(case, found[0])
    assert set(found) == {found[0]}


@for_each(
    "case", [case for case in CASES if case.whole and not case.status and case.alone], what=lambda case: case.what
)
def test_h11_left_to_itself_finds_the_same_body(case: Case) -> None:
    outcome = drive(case.raw, CODEC)
    parser = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
    parser.receive_data(case.raw[: outcome.taken].lstrip(b"\r\n"))
    assert isinstance(parser.next_event(), h11.Request)
    body = b""
    while isinstance(event := parser.next_event(), h11.Data):
        body += event.data
    assert isinstance(event, h11.EndOfMessage)
    assert body == outcome.body


def test_the_head_is_read_with_lower_case_names_and_stripped_values() -> None:
    head = b"GET /a?b HTTP/1.1\r\nHost:  x \r\nA-B:\t\r\na-b: \xff\r\n\r\n"
    assert CODEC.read_head(head) == ("GET", "/a?b", ((b"host", b"x"), (b"a-b", b""), (b"a-b", b"\xff")))


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n",
        b"",
        b"\r\n\r\n",
        b"\x00",
        b"GET / HTTP/1.1\r\nA\r\n\r\n",
    ],
)
def test_a_head_that_h11_cannot_read_is_refused(head: bytes) -> None:
    with pytest.raises(Disagreement) as caught:
        CODEC.read_head(head)
    assert (caught.value.status, caught.value.reason) == (400, "The parser h11 cannot read this message.")


def test_h11_can_be_asked_for_by_name() -> None:
    assert codec_for("h11") is CODEC
    assert CODEC.name == "h11"
