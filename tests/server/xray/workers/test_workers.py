"""What is kept of workers that have ended; the rest of it is seen in test_site."""

import pytest

from clerestory.server.xray.workers.exposition import read
from clerestory.server.xray.workers.inquiry import Answer
from clerestory.server.xray.workers.workers import REMEMBERED, Workers, detail_of
from tests.server.support import bench_of, hello
from tests.server.xray.support import cut_of, watch_of
from tests.server.xray.workers.test_exposition import PAGE
from tests.server.xray.workers.test_sums import member

NAME = 'clerestory_requests_total{class="2xx"}'


def count(workers: Workers, answers: dict[int, Answer | None]) -> float:
    members = [member(number) for number in answers]
    return workers.metrics({}, members, answers)["clerestory_requests_total"].samples[NAME]


def page(number: int) -> Answer:
    return Answer(200, b"text/plain", PAGE.replace("} 3", f"}} {number}").encode())


def test_no_sum_ever_falls() -> None:
    with bench_of(hello) as bench:
        workers = Workers(watch_of(bench))
        assert count(workers, {1: page(3), 2: page(4)}) == 7
        assert count(workers, {1: None, 2: page(5)}) == 8
        workers.departed(1, {})
        assert count(workers, {2: page(5)}) == 8
        summary = workers.watch.summary(cut_of(bench), buckets=True)
        workers.departed(2, {"counters": {"clerestory_requests_total": ["counter", "", {NAME: 6}]}, "summary": summary})
        assert count(workers, {2: page(6), 3: page(1)}) == 10  # the answer of one that has ended is not counted twice


def test_words_of_another_version_do_no_harm() -> None:
    with bench_of(hello) as bench:
        workers = Workers(watch_of(bench))
        count(workers, {1: page(3)})
        workers.departed(1, {"counters": {"a": "b"}, "summary": {}})
        workers.departed(2, {"other": 1})
        assert count(workers, {3: page(1)}) == 4


def test_those_that_have_ended_are_not_remembered_for_ever() -> None:
    with bench_of(hello) as bench:
        workers = Workers(watch_of(bench))
        for number in range(REMEMBERED + 1):
            workers.departed(number, {})
        assert len(workers._gone) == REMEMBERED


def test_what_is_kept_of_them_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("clerestory.server.xray.workers.workers.KEPT", 3)
    with bench_of(hello) as bench:
        workers = Workers(watch_of(bench))
        for number in range(4):
            workers.departed(number, {"counters": {"a": ["counter", "", {f"a{number}": 1, "a0": 1}]}, "summary": {}})
        assert list(workers._counters["a"].samples) == ["a0", "a1", "a2"]


def test_why_an_x_ray_refuses_is_read_from_its_answer() -> None:
    assert detail_of(Answer(400, b"", b'{"detail": "not so"}')) == "not so"
    assert detail_of(Answer(503, b"", b"503 Service Unavailable: draining\n")) == "draining"
    assert detail_of(Answer(500, b"", b"")) == "status 500"
    assert read("") == {}
