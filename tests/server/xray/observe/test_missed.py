"""Requests that crossed our close: seen, named, with both sides' times; and nothing else is taken for one."""

from clerestory.server.observer import Missed
from clerestory.server.xray.exports.exports import headline
from clerestory.server.xray.observe.banners import banners
from clerestory.server.xray.observe.missed import KEPT, TOLD, MissedRequests, note, words
from tests.server.support import GET, bench_of, hello
from tests.server.xray.support import ROOMY, cut_of


def one(number: int = 5, came_at: float = 1040.004) -> Missed:
    return Missed(number, "127.0.0.1:5000", 15.25, 15.0, 1040.0, came_at, 3)


def test_a_request_that_comes_after_the_keep_alive_deadline_is_told_with_both_sides_times() -> None:
    with bench_of(hello) as bench:
        client = bench.connect()
        client.send(GET)
        bench.settle()
        bench.after(15.25)
        assert str(client.connection.state) == "LINGERING"
        bench.clock.now += 0.0625
        client.far.send(GET)
        bench.settle()
        (event,) = [event for event in bench.logs.events if event["event"] == "request_missed"]
        assert (event["id"], event["requests"], event["idle_seconds"], event["closed_seconds_ago"]) == (
            1,
            1,
            15.25,
            0.0625,
        )
        assert "--keep-alive-timeout of 15 s" in event["hint"]
        (banner,) = banners(cut_of(bench), ROOMY, bench.recorder.missed.recent(bench.clock.now))
        assert (banner.kind, banner.level, banner.connections) == ("missed", "warning", ("1",))


def test_it_is_told_of_a_first_request_too_and_only_once() -> None:
    with bench_of(hello) as bench:
        client = bench.connect()
        bench.after(15.25)
        for piece in (b"GET / HT", b"TP/1.1\r\n"):
            client.far.send(piece)
            bench.settle()
        (event,) = [event for event in bench.logs.events if event["event"] == "request_missed"]
        assert event["requests"] == 0
        assert bench.recorder.missed.count == 1


def test_what_comes_after_another_farewell_is_no_missed_request() -> None:
    with bench_of(hello, max_requests=1) as bench:
        client = bench.connect()
        client.send(GET)
        client.send(GET)
        assert str(client.connection.state) == "LINGERING"
        assert bench.recorder.missed.count == 0


def test_the_end_of_such_a_connection_is_kept_with_the_abnormal_ones_and_says_so() -> None:
    with bench_of(hello) as bench:
        quiet, client = bench.connect(), bench.connect()
        bench.after(15.25)
        client.send(GET)
        quiet.leave()
        client.leave()
        bench.settle()
        recorder = bench.recorder
        assert [recording.note for recording in recorder.normal] == [""]
        (recording,) = recorder.abnormal
        assert "its next request came 0.0 ms after we had closed it, idle for 15." in headline(recording)
        assert headline(recording).endswith("s: it was not answered")


def test_the_words() -> None:
    assert words([one()]) == (
        "A request came just after its connection was closed as idle, 4.0 ms after, on connection 5 from "
        "127.0.0.1:5000, idle for 15.2 s. Such a request is not answered: a proxy in front reports 502. Let the client "
        "close idle connections sooner than our --keep-alive-timeout of 15 s, or raise that."
    )
    assert words([one(4), one()]).startswith(
        "2 requests came just after their connections were closed as idle, the last of them 4.0 ms after, on "
    )


def test_only_the_latest_are_kept_and_only_the_recent_are_told() -> None:
    missed = MissedRequests()
    assert missed.note_of(5) == ""
    for number in range(KEPT + 1):
        missed.add(one(number))
    assert (len(missed.latest), missed.count) == (KEPT, KEPT + 1)
    assert missed.note_of(0) == ""
    assert missed.note_of(1) == note(one(1))
    assert len(missed.recent(1040.0 + TOLD)) == KEPT
    assert missed.recent(1041.0 + TOLD) == []
