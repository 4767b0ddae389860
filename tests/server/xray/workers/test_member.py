"""Who the workers are, read from a cut of their supervisor's machines."""

from clerestory.server.xray.observe.cut import take
from clerestory.server.xray.workers.member import members_of
from clerestory.server.xray.workers.sums import mark
from tests.server.process.crew import Crew


def test_members_are_read_from_the_supervisors_machines() -> None:
    crew = Crew()
    try:
        crew.serving()
        first, second = crew.workers()
        crew.say(second, "beat", connections=3, requests=9)
        crew.after(2.0)
        one, other = members_of(take(crew.loop))
        assert [(each.number, each.generation, each.state) for each in (one, other)] == [
            (1, 1, "READY"),
            (2, 1, "READY"),
        ]
        assert other.figures["requests"] == 9
        assert other.heard == other.seconds == 2.0
        assert one.serves
        assert one.may_answer
        described = other.described(False, None, ["2:1: GET /"])
        assert (described["worker"], described["answers"], described["connections"]) == (2, False, 3)
        assert described["waits_for"] == ["2:1: GET /"]
        assert mark(one, {"id": "17", "kind": "connection"}) == {
            "id": "1:17",
            "kind": "connection",
            "worker": 1,
            "generation": 1,
        }
        del first
    finally:
        crew.close()


def test_one_that_starts_or_leaves_is_not_worth_asking() -> None:
    crew = Crew(1)
    try:
        crew.begin()
        (one,) = members_of(take(crew.loop))
        assert not one.may_answer
        assert not one.serves
    finally:
        crew.close()
