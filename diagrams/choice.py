"""Which transitions are arrows with their texts, and which are listed in the card of the state that they leave.

Lines from everywhere to everywhere hide the path that a reader looks for: what goes wrong, what ends a machine and what
leads to a state by one more way is told in the cards.
"""

from functools import cache

from clerestory.diagrams.picture import Arrow, Line, Look, Picture
from clerestory.statemachines.contract import Name


@cache
def course(picture: Picture) -> tuple[Name, ...]:
    """The states of the usual path, from the beginning on; where it forks, the first of its transitions decides that
    does not end it."""
    found = [picture.initial]
    happy = [arrow for arrow in picture.arrows if arrow.look is Look.HAPPY and arrow.dest not in picture.finals]
    while True:
        ahead = (arrow.dest for arrow in happy if arrow.source is found[-1] and arrow.dest not in found)
        if (state := next(ahead, None)) is None:
            return tuple(found)
        found.append(state)


def is_usual(picture: Picture, state: Name) -> bool:
    """Whether the usual path leads through a state."""
    return state in course(picture) and state not in picture.finals and len(course(picture)) > 1


def is_bold(picture: Picture, arrow: Arrow) -> bool:
    """Whether an arrow is of the usual path from the beginning to the end, or leads back in it."""
    way = course(picture)
    ahead = arrow.dest in way or (arrow.dest in picture.finals and arrow.source is way[-1])
    return arrow.look is Look.HAPPY and arrow.source in way and ahead


@cache
def drawn(picture: Picture) -> frozenset[Arrow]:
    """The arrows that have their texts: the usual path, and for each state beside it one way in and one way out."""
    usual = [arrow for arrow in picture.arrows if arrow.look is Look.HAPPY]
    found = set(usual)
    normal = [arrow for arrow in picture.arrows if arrow.look is Look.NORMAL and arrow.source is not arrow.dest]
    for state in (spec.state for spec in picture.specs):
        if not is_usual(picture, state) and state not in picture.finals:
            into = [arrow for arrow in normal if arrow.dest is state]
            out = [arrow for arrow in normal if arrow.source is state and arrow.dest not in picture.finals]
            told = any(arrow.dest is state for arrow in usual), any(arrow.source is state for arrow in usual)
            ways = [way for way, is_told in zip((into, out), told, strict=True) if way and not is_told]
            found |= {min(way, key=lambda arrow: _far(picture, arrow)) for way in ways}
    return frozenset(found)


def is_aside(picture: Picture, arrow: Arrow) -> bool:
    """Whether an arrow is not drawn with its text, but listed in the card of the state that it leaves."""
    return arrow not in drawn(picture)


def asides(picture: Picture) -> list[Arrow]:
    """The light lines: one for each state that no drawn arrow leads to, from the state that is nearest above it."""
    reached = {picture.initial, *(arrow.dest for arrow in drawn(picture))}
    lines = []
    for state in (spec.state for spec in picture.specs):
        into = [arrow for arrow in picture.arrows if arrow.dest is state and arrow.source is not state]
        if state not in reached and into:
            lines.append(min(into, key=lambda arrow: _steps(picture, arrow)))
    return lines


def whither(state: Name, dest: Name) -> str:
    return f"to {dest.name}" + (" again" if dest is state else "")


def spell(line: Line) -> str:
    return " ".join(part for part in (line.trigger, line.condition()) if part)


def _far(picture: Picture, arrow: Arrow) -> tuple[int, tuple[bool, int]]:
    """How far an arrow leads from the usual path, and from its state: the nearer, the clearer."""
    beside = sum(not is_usual(picture, state) for state in (arrow.source, arrow.dest))
    return beside, _steps(picture, arrow)


def _steps(picture: Picture, arrow: Arrow) -> tuple[bool, int]:
    """Whether an arrow leads upwards, and past how many states."""
    order = [spec.state for spec in picture.specs]
    down = order.index(arrow.dest) - order.index(arrow.source)
    return down < 0, abs(down)
