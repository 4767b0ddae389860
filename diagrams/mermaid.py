"""The picture as a Mermaid `stateDiagram-v2`, which code hosts draw from the text itself.

Mermaid cannot style a transition, so what a bold, a dashed or a red line says elsewhere is said by the order, under a
heading for each kind, and by the tint of the states.
"""

from clerestory.diagrams.picture import Arrow, Line, Picture, limit_of, waits_of
from clerestory.statemachines.contract import Spec

INK = "#1f2933"
PLAIN = ("#ffffff", "#c9ced4")
TINTS = (("#e4eef8", "#3d6f9f"), ("#e6f2e8", "#4b7f57"), ("#fbf0dc", "#93702f"))


def to_mermaid(picture: Picture) -> str:
    """A Mermaid text that ends in a new line."""
    lines = ["stateDiagram-v2", f"    %% {picture.name}: made by clerestory diagrams, not by hand", "    direction TB"]
    lines += _classes(picture)
    lines += ["", "    %% states: what each waits for, and until when"]
    lines += [line for spec in picture.specs for line in _state(picture, spec)]
    lines += ["", f"    [*] --> {picture.initial.name}"]
    for look in picture.looks():
        lines += ["", f"    %% {look.value}"]
        lines += [_transition(arrow) for arrow in picture.arrows if arrow.look is look]
    lines += ["", *(f"    {final.name} --> [*]" for final in picture.finals)]
    return "\n".join(lines) + "\n"


def _classes(picture: Picture) -> list[str]:
    styles = [("plain", PLAIN), *((_class(lane.phrase), TINTS[number]) for number, lane in enumerate(picture.lanes))]
    return [f"    classDef {name} fill:{fill},stroke:{stroke},color:{INK}" for name, (fill, stroke) in styles]


def _class(phrase: str) -> str:
    return phrase.replace(" ", "_")


def _state(picture: Picture, spec: Spec) -> list[str]:
    """A state's lines of text, and its class."""
    name = spec.state.name
    kind = next((_class(lane.phrase) for lane in picture.lanes if name in lane.states), "plain")
    facts = [fact for fact in (waits_of(spec), limit_of(spec)) if fact]
    return [f"    {name} : {'<br/>'.join([name, *facts])}", f"    class {name} {kind}"]


def _transition(arrow: Arrow) -> str:
    text = "<br/>".join(_text(line) for line in arrow.lines)
    return f"    {arrow.source.name} --> {arrow.dest.name} : {text}"


def _text(line: Line) -> str:
    return " ".join(part for part in (line.trigger, line.condition()) if part)
