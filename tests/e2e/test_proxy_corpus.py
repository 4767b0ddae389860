"""The two-parser proof: every request of the corpus goes through the proxy to an upstream that reads with the other
parser. What arrives there is exactly the requests that we have read, equal in method, target and body, or nothing.
"""

from contextlib import suppress

import pytest

from clerestory.handlers.api.messages import Request
from clerestory.server.config import Limits
from clerestory.server.http import codec_for
from clerestory.server.http.gate import Refusal
from clerestory.server.http.reading import BodyReader, HeadReader
from tests.conftest import Start
from tests.corpus import CASES, Case
from tests.support.client import Client
from tests.support.recording import Recorded, RecordingUpstream
from tests.support.waiting import eventually

PARSERS = [("httptools", "h11"), ("h11", "httptools")]


def readings(raw: bytes, parser: str) -> list[Recorded]:
    """The whole requests that `raw` holds, up to what is refused or unfinished, as the upstream is to read them."""
    codec, limits = codec_for(parser), Limits()
    reader, found = HeadReader(limits, codec), []
    while raw:
        try:
            request = reader.read(raw)
            if request is None:
                break
            raw = raw[reader.consumed :]
            body = BodyReader(request, limits)
            piece, consumed = body.feed(raw)
        except Refusal:
            break
        if not body.ended:
            break
        raw = raw[consumed:]
        found.append(Recorded(request.method.encode(), target(request), piece))
        if not request.keep_alive:
            break
    return found


def target(request: Request) -> bytes:
    """Its target in origin-form."""
    if request.target.startswith(("/", "*")):
        return request.target.encode()
    return (f"{request.path}?{request.query}" if "?" in request.target else request.path).encode()


def cases_for(other: str) -> list[Case]:
    """The corpus, without the methods that the upstream's own parser refuses whoever sends them."""
    if other == "h11":
        return CASES
    known = set(b"GET HEAD POST PUT DELETE OPTIONS TRACE PATCH PROPFIND MKCOL COPY MOVE LOCK UNLOCK SEARCH".split())
    return [case for case in CASES if case.status or case.raw.lstrip(b"\r\n").split(b" ")[0] in known]


@pytest.mark.parametrize(("ours", "other"), PARSERS)
def test_what_arrives_is_what_was_read_and_nothing_else(start: Start, ours: str, other: str) -> None:
    wrong: dict[str, object] = {}
    with RecordingUpstream(other) as upstream:
        server = start("--no-access-log", "--parser", ours, target=upstream.url)
        with Client(server.address) as client:
            assert client.get("/warm").status == 200
            base = server.descriptors()
        for case in cases_for(other):
            before = len(upstream.recorded)
            with Client(server.address) as client:
                if client.try_send(case.raw):
                    with suppress(OSError):
                        client.half_close()
                client.everything()
            expected = readings(case.raw, ours)
            if upstream.recorded[before:] != expected or upstream.offences:
                wrong[case.what] = (upstream.recorded[before:], expected, upstream.offences[:])
                upstream.offences.clear()
        assert wrong == {}
        assert len(upstream.recorded) > 200
    eventually(lambda: server.descriptors() <= base - 2, what="the end of every connection")
