"""docs/strictness.md says of every refusal what it is: its tables are held against the corpus, both ways."""

import re
from pathlib import Path

import pytest

from clerestory.server.config import Limits
from clerestory.server.http import codec_for
from tests.corpus import CASES, Case
from tests.server.http.driving import drive
from tests.support.many import for_each

PAGE = Path("docs/strictness.md").read_text()
ROWS = [
    (int(status), said) for status, said in re.findall(r"^\| ([1-5][0-9]{2}) \| (.+?) \| .+ \|$", PAGE, re.MULTILINE)
]
TARGETS = [
    (sent.replace(r"\|", "|").encode(), read)
    for sent, read in re.findall(r"^\| `(/.*)` \| `(/.*)` \|$", PAGE, re.MULTILINE)
]
REFUSED = [case for case in CASES if case.status]


def says(row: tuple[int, str], status: int, reason: str) -> bool:
    pattern = ".+".join(map(re.escape, row[1].split("…")))
    return row[0] == status and re.fullmatch(pattern, reason) is not None


@for_each("case", REFUSED, what=lambda case: case.what)
def test_every_refusal_of_the_corpus_is_on_the_page(case: Case) -> None:
    assert [row for row in ROWS if says(row, case.status, case.reason)]


@pytest.mark.parametrize("row", ROWS)
def test_every_refusal_on_the_page_happens(row: tuple[int, str]) -> None:
    reasons = {(case.status, case.reason) for case in REFUSED}
    strict = drive(b"GET /% HTTP/1.1\r\n", codec_for("h11"), limits=Limits(strict_targets=True))
    assert [one for one in {*reasons, (strict.status, strict.reason)} if says(row, *one)]


@pytest.mark.parametrize(("sent", "read"), TARGETS)
def test_a_target_is_read_as_the_page_says(sent: bytes, read: str) -> None:
    assert drive(b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n" % sent, codec_for("h11")).target == read


def test_the_page_has_its_tables() -> None:
    assert len(ROWS) > 40
    assert len(TARGETS) == 5
