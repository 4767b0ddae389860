"""Where the time of a route's requests went: the profile put into words. Pure.

A part is a state, whom or what was waited for in it, and the line of the application, where one was seen. The parts of
some requests add up to all of their time: what no operation accounts for is the client's, in the states that wait for
its socket, and the handler's own in the others.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from clerestory.server.connection.waiting import PLACES
from clerestory.server.xray.observe.profile import Profile, Route
from clerestory.server.xray.observe.shares import STATES, Line, Share, Waited
from clerestory.statemachines.connection import State as S

HANDLER = "the handler runs"

CLIENT: dict[str, str] = {
    S.READING_HEAD: "the client sends its head",
    S.READING_BODY: "the client sends its body",
    S.SENDING_RESPONSE: "the client takes the response",
    S.EXCHANGING: "the client sends, or takes the response",
}
"""What is waited for in the states that wait for the client's socket."""

_IDLE = STATES.index(S.AWAITING_REQUEST)

SLIGHT = 0.01
"""The share of the time below which a part is told with others, as `other waits`; or not at all, where these come to
less together."""

OTHERS = "other waits"


@dataclass(frozen=True, slots=True)
class Part:
    """So many seconds in a state, for `whom`; `line` is where the application waited, "" where none was seen."""

    state: str
    whom: str
    line: str
    seconds: float
    share: float


@dataclass(frozen=True, slots=True)
class Told:
    """A route's requests: seconds are those of a request, shares those of all. `busy` is the sum of their seconds.

    `typical` and `slow` are the parts of the requests around the median, and of the slowest hundredth. `classes` are
    seconds of one request, and how many took about so long, from the quickest on."""

    route: str
    requests: int
    failed: int
    p50: float
    p99: float
    longest: float
    busy: float
    typical: list[Part]
    slow: list[Part]
    whole: list[Part]
    classes: list[tuple[float, int]]


def told(profile: Profile, now: float) -> list[Told]:
    """Every route that was asked lately, the one first that has kept clients waiting longest in all."""
    found = [one for one in (tell(profile, route, now) for route in profile.all()) if one is not None]
    return sorted(found, key=lambda one: -one.busy)


def tell(profile: Profile, route: Route, now: float) -> Told | None:
    """One route; None where nobody has asked for it lately."""
    route_shares = profile.shares_of(route, now)
    classes = merged(route_shares)
    count = sum(share.count for _, share in classes)
    if not count:
        return None
    middle, high = at(classes, 0.5), at(classes, 0.99)
    examples = profile.examples_of(route, now)
    return Told(
        route.name,
        count,
        failed_of(route_shares),
        mean(classes[middle][1]),
        mean(classes[high][1]),
        examples[0].seconds if examples else mean(classes[-1][1]),
        sum(share.total for _, share in classes),
        parts([classes[middle][1]]),
        parts(share for _, share in classes[high:]),
        parts(share for _, share in classes),
        [(mean(share), share.count) for _, share in classes],
    )


def merged(shares: Iterable[tuple[int, Share]]) -> list[tuple[int, Share]]:
    """Those of one class of durations in one share, by class."""
    found: dict[int, Share] = {}
    for key, share in shares:
        into = found.get(key >> 3)
        if into is None:
            into = found[key >> 3] = Share()
        into.merge(share)
    return sorted(found.items(), key=lambda one: one[0])


def failed_of(shares: Iterable[tuple[int, Share]]) -> int:
    """How many were answered with a 5xx, or not at all."""
    return sum(share.count for key, share in shares if key & 7 in (0, 5))


def at(classes: list[tuple[int, Share]], share: float) -> int:
    """The position of the class in which that share of the requests is reached."""
    wanted = share * sum(one.count for _, one in classes)
    seen = 0
    for position, (_, one) in enumerate(classes):
        seen += one.count
        if seen >= wanted:
            return position
    return len(classes) - 1


def mean(share: Share) -> float:
    """Seconds of a request of one class: all of them differ by less than a quarter."""
    return share.total / share.count if share.count else 0.0


def parts(shares: Iterable[Share]) -> list[Part]:
    """Where the time of these requests went, the longest first."""
    whole = Share()
    for share in shares:
        whole.merge(share)
    return parts_of(whole.spent(), whole.waits, whole.lines)


def parts_of(spent: list[float], waits: dict[Waited, float], lines: dict[Line, int]) -> list[Part]:
    """The same, of sums; or of one request."""
    seconds: dict[tuple[int, str], float] = {}
    for place, stay in enumerate(spent):
        if place == _IDLE:
            continue
        waited = {key: value for key, value in waits.items() if key[0] == place}
        seconds.update(waited)
        left = stay - sum(waited.values())
        if left > 0:
            key = place, HANDLER if place in PLACES else CLIENT.get(STATES[place], "the client")
            seconds[key] = seconds.get(key, 0.0) + left
    total = sum(seconds.values())
    if total <= 0:
        return []
    found: list[Part] = []
    slight = 0.0
    for (place, whom), stay in seconds.items():
        seen = {line[2]: count for line, count in lines.items() if line[:2] == (place, whom)}
        for line, part in _split(stay, seen):
            if part < SLIGHT * total:
                slight += part
            else:
                found.append(Part(STATES[place], whom, line, part, part / total))
    found.sort(key=lambda part: -part.seconds)
    if slight >= SLIGHT * total:
        found.append(Part("", OTHERS, "", slight, slight / total))
    return found


def duration(seconds: float) -> str:
    """`0.24 ms`, `26.0 ms`, `218 ms`, `1.24 s`, `75.0 s`: to three figures."""
    milliseconds = seconds * 1000
    if milliseconds < 9.995:
        return f"{milliseconds:.2f} ms"
    if milliseconds < 99.95:
        return f"{milliseconds:.1f} ms"
    if milliseconds < 999.5:
        return f"{milliseconds:.0f} ms"
    return f"{seconds:.2f} s" if seconds < 9.995 else f"{seconds:.1f} s"


def _split(seconds: float, seen: dict[str, int]) -> list[tuple[str, float]]:
    """Seconds by line, as often as each was seen; all of it without one where none was."""
    count = sum(seen.values())
    if not count:
        return [("", seconds)]
    return [(line, seconds * number / count) for line, number in seen.items()]
