"""Where the time of several workers' requests goes, as of one."""

import pytest

from clerestory.server.xray.workers.waits import EXAMPLES, at, waits
from tests.server.xray.workers.test_sums import member


def part(whom: str, seconds: float) -> dict[str, object]:
    return {"state": "QUERYING_BACKEND", "whom": whom, "line": "", "seconds": seconds, "share": 1.0}


def route(name: str, *classes: tuple[float, int], busy: float = 1.0) -> dict[str, object]:
    parts = [part("a", busy), part("b", busy)]
    made = {"route": name, "requests": sum(count for _, count in classes), "failed": 1, "p50": 9.9, "p99": 9.9}
    made |= {"longest": classes[-1][0], "busy": busy, "typical": parts, "slow": parts, "whole": parts}
    examples = [{"id": f"{number}-1", "seconds": classes[-1][0] - number} for number in range(4)]
    return made | {"examples": examples, "classes": list(classes)}


def test_routes_are_put_together_and_their_quantiles_made_anew() -> None:
    first = {"seconds": 60.0, "routes": [route("GET /a", (0.1, 98), (5.0, 1)), route("GET /b", (0.1, 1), busy=50.0)]}
    second = {"seconds": 90.0, "routes": [route("GET /a", (0.2, 100), (7.0, 1), busy=3.0)]}
    found = waits({"now": 5.0, "seconds": 1.0, "routes": []}, [(member(1), first), (member(2), second)])
    assert (found["now"], found["seconds"]) == (5.0, 90.0)
    b, a = found["routes"]
    assert (b["route"], a["route"]) == ("GET /b", "GET /a")
    assert (a["requests"], a["failed"], a["p50"], a["p99"], a["longest"], a["busy"]) == (200, 2, 0.2, 0.2, 7.0, 4.0)
    assert [(one["whom"], one["seconds"], one["share"]) for one in a["whole"]] == [("a", 4.0, 0.5), ("b", 4.0, 0.5)]
    assert len(a["examples"]) == EXAMPLES
    assert (a["examples"][0]["id"], a["examples"][0]["worker"]) == ("2:0-1", 2)


@pytest.mark.parametrize(("share", "seconds"), [(0.5, 1.0), (0.51, 2.0), (0.99, 2.0), (1.0, 2.0)])
def test_a_quantile_is_the_class_in_which_it_is_reached(share: float, seconds: float) -> None:
    assert at([(1.0, 1), (2.0, 1)], share) == seconds
    assert at([], share) == 0.0
