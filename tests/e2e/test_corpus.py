"""The corpus of requests through the real server: whole, byte by byte and randomly cut, the verdicts are the same."""

import hashlib
import json
import random
from collections.abc import Callable
from contextlib import suppress
from itertools import pairwise

import pytest

from tests.conftest import Start
from tests.corpus import CASES, Case
from tests.support.client import Client, CutShort
from tests.support.server import ServerProcess

LONG = 2048
"""Bytes beyond which a request is not sent byte by byte, but in pieces of some hundred."""

SEED = 1


def whole(raw: bytes) -> list[bytes]:
    return [raw]


def byte_by_byte(raw: bytes) -> list[bytes]:
    step = 1 if len(raw) <= LONG else 251
    return [raw[at : at + step] for at in range(0, len(raw), step)]


def randomly(raw: bytes) -> list[bytes]:
    dice = random.Random(SEED + len(raw))
    cuts = sorted({0, len(raw), *(dice.randrange(len(raw) + 1) for _ in range(4))})
    return [raw[start:end] for start, end in pairwise(cuts)]


def method(raw: bytes) -> str:
    return "HEAD" if raw.startswith(b"HEAD ") else "GET"


def verdict(server: ServerProcess, raw: bytes, pieces: list[bytes]) -> tuple[int, str, int, str, bool, str]:
    """Status, reason, body's length and digest, whether the connection was to go on, and how it ended.

    The client half-closes after its request, so that one which is not whole is answered, too: by the close.
    """
    with Client(server.address) as client:
        for piece in pieces:
            if not client.try_send(piece):
                break
        with suppress(OSError):
            client.half_close()
        try:
            answer = client.answer(method(raw))
        except CutShort as cut:
            return 0, "", 0, "", False, f"{cut.how} {cut.received!r}"
        if answer.status != 200:
            reason = answer.error.partition(": ")[2] if answer.status >= 400 else ""
            return answer.status, reason, 0, "", answer.get("connection") != "close", client.end()
        told = json.loads(answer["x-told"])
        return 200, "", told["length"], told["sha256"], answer.get("connection") != "close", "answered"


def expected(case: Case) -> tuple[int, str, int, str, bool, str]:
    digest = hashlib.sha256(case.body).hexdigest()
    if case.status:
        return case.status, case.reason, 0, "", False, "closed"
    if case.whole:
        return 200, "", len(case.body), digest, case.keep_alive, "answered"
    if b"\r\n\r\n" in case.raw.lstrip(b"\r\n"):
        return 400, "The connection was closed before the whole request body had arrived.", 0, "", False, "closed"
    return 0, "", 0, "", False, "closed b''"


@pytest.mark.parametrize("cut", [whole, byte_by_byte, randomly])
def test_every_request_of_the_corpus_has_its_verdict_however_it_is_cut(
    start: Start, cut: Callable[[bytes], list[bytes]]
) -> None:
    server = start("--no-access-log", target="tests.support.applications:admit")
    wrong = {}
    for case in CASES:
        found = verdict(server, case.raw, cut(case.raw))
        if found != expected(case):
            wrong[case.what] = (found, expected(case))
    assert wrong == {}
    server.settle()


def test_a_request_behind_another_is_admitted_or_refused_like_the_first(start: Start) -> None:
    server = start("--no-access-log", target="tests.support.applications:admit")
    first = b"GET /first HTTP/1.1\r\nHost: a\r\n\r\n"
    wrong = {}
    for case in CASES:
        if not case.whole or len(case.raw) > 30_000:
            continue
        with Client(server.address, data=first + case.raw) as client:
            assert client.answer().status == 200
            answer = client.answer(method(case.raw))
            if answer.status != (case.status or 200):
                wrong[case.what] = answer
    assert wrong == {}
