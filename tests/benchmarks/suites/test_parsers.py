"""All readers read the same heads."""

import h11
import pytest

from benchmarks.suites import parsers
from benchmarks.suites.parsers import HEADS, bare_h11, heads, readers
from clerestory.handlers.api.messages import Request


@pytest.mark.parametrize("kind", HEADS)
@pytest.mark.parametrize("varying", [False, True])
def test_heads_differ_where_they_should(kind: str, varying: bool) -> None:
    made = heads(HEADS[kind], varying=varying)
    assert len(set(made)) == len(made)
    assert len({head.partition(b"\r\n")[2] for head in made}) == (len(made) if varying else 1)


@pytest.mark.parametrize("kind", HEADS)
def test_ours_read_what_h11_reads(kind: str) -> None:
    for head in heads(HEADS[kind], varying=True)[:3]:
        event = bare_h11(head)
        assert isinstance(event, h11.Request)
        for name, read in readers().items():
            if name.startswith("gate"):
                request = read(head)
                assert isinstance(request, Request)
                assert request.fields == tuple(event.headers)
                assert request.target.encode() == event.target


@pytest.mark.skipif(not parsers.has_httptools, reason="httptools is not installed")
def test_bare_httptools_reads_the_same_number_of_fields() -> None:
    for template in HEADS.values():
        head = heads(template, varying=True)[0]
        events = parsers.bare_httptools(head)
        assert isinstance(events, parsers._Events)
        assert len(events.headers) == head.count(b"\r\n") - 2


def test_a_cost_is_of_one_head() -> None:
    few, many = (parsers.cost(bare_h11, heads(HEADS["small"], varying=False)[:count], 1) for count in (50, 500))
    assert few > 0
    assert many < few * 5  # of all of them it would be ten times as much
