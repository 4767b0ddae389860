"""Drives the reading side as a connection does: bytes come in pieces, a head, then a body, or a Refusal."""

import random
from collections.abc import Iterable
from typing import NamedTuple

from clerestory.handlers.api.messages import Fields
from clerestory.server.config import Limits
from clerestory.server.http import Codec, codec_for
from clerestory.server.http.gate import Disagreement, Refusal
from clerestory.server.http.reading import BodyReader, HeadReader
from tests.corpus import Case

LIMITS = Limits()


class Outcome(NamedTuple):
    """What came of one request. `taken` is how many bytes belong to it, `disagreement` must never be."""

    status: int = 0
    reason: str = ""
    disagreement: bool = False
    method: str = ""
    target: str = ""
    fields: Fields = ()
    minor: int = 1
    authority: bytes = b""
    content_length: int | None = 0
    keep_alive: bool = True
    expects_continue: bool = False
    head: int = 0
    body: bytes = b""
    taken: int = 0
    whole: bool = False


def drive(raw: bytes, codec: Codec, ends: Iterable[int] = (), limits: Limits = LIMITS) -> Outcome:
    """The outcome of `raw` arriving in pieces that end at `ends`, and a last one."""
    try:
        return _drive(raw, codec, [*ends, len(raw)], limits)
    except Refusal as refusal:
        return Outcome(refusal.status, refusal.reason, isinstance(refusal, Disagreement))


def _drive(raw: bytes, codec: Codec, ends: list[int], limits: Limits) -> Outcome:
    reader = HeadReader(limits, codec, "peer")
    arrivals = iter(ends)
    for end in arrivals:
        request = reader.read(raw[:end])
        if request is not None:
            break
    else:
        return Outcome()
    body = BodyReader(request, limits)
    pieces = []
    taken = reader.consumed
    while not body.ended:
        piece, consumed = body.feed(raw[taken:end])
        pieces.append(piece)
        taken += consumed
        if not body.ended:
            assert taken == end
            if end == len(raw):
                break
            end = next(arrivals)
    return Outcome(
        method=request.method,
        target=request.target,
        fields=request.fields,
        minor=request.minor,
        authority=request.authority,
        content_length=request.content_length,
        keep_alive=request.keep_alive,
        expects_continue=request.expects_continue,
        head=reader.consumed,
        body=b"".join(pieces),
        taken=taken,
        whole=body.ended,
    )


def outcomes(raw: bytes, name: str, seed: int = 0) -> list[Outcome]:
    """The outcomes of `raw` whole, byte by byte, in two halves at each of a few places, and randomly cut."""
    codec = codec_for(name)
    chance = random.Random(f"{seed}{len(raw)}")
    size = len(raw)
    cuts: list[Iterable[int]] = [(), range(1, size)]
    cuts += [[chance.randrange(size)] for _ in range(3) if size]
    cuts += [sorted(chance.choices(range(size), k=min(12, size))) for _ in range(3) if size]
    return [drive(raw, codec, ends) for ends in cuts]


def keeps_its_word(case: Case, outcome: Outcome) -> None:
    """Assert that `outcome` is what the corpus says of `case`."""
    assert (outcome.status, outcome.reason) == (case.status, case.reason)
    assert not outcome.disagreement
    if not case.status:
        assert outcome.whole is case.whole
        assert outcome.body == case.body
        if outcome.method:
            assert outcome.keep_alive is case.keep_alive
        if case.target:
            assert outcome.target == case.target.decode()
        if case.whole:
            assert case.raw[outcome.taken :] == case.rest
