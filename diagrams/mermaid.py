"""The picture as a Mermaid `stateDiagram-v2`, which code hosts draw from the text itself.

Mermaid cannot style a transition, so what a bold, a dashed or a red line says elsewhere is said by the order, under a
heading for each kind, and by the frames and tints of the states. As in the other pictures, what leads aside is told in
the card of the state that it leaves: with an arrow for each transition, labels would lie over one another.
"""

from clerestory.diagrams.choice import asides, drawn, is_aside, is_usual, spell, whither
from clerestory.diagrams.picture import Arrow, Picture, limit_of, waits_of
from clerestory.statemachines.contract import Spec

INK = "#1f2933"
USUAL = "    classDef usual stroke:#1c5d99,stroke-width:3px"
PLAIN = ("#ffffff", "#c9ced4")
TINTS = (("#e4eef8", "#3d6f9f"), ("#e6f2e8", "#3d6d48"), ("#fbf0dc", "#7d5d1e"))


def to_mermaid(picture: Picture) -> str:
    """A Mermaid text that ends in a new line."""
    lines = ["stateDiagram-v2", f"    %% {picture.name}: made by clerestory diagrams, not by hand", "    direction TB"]
    lines += _classes(picture)
    lines += ["", "    %% states: what each waits for, and until when"]
    lines += [line for spec in picture.specs for line in _state(picture, spec)]
    lines += ["", f"    [*] --> {picture.initial.name}"]
    for look in picture.looks():
        arrows = [arrow for arrow in picture.arrows if arrow.look is look and arrow in drawn(picture)]
        lines += ["", f"    %% {look.value}", *map(_transition, arrows)] if arrows else []
    lines += ["", "    %% where the cards say by what"]
    lines += [f"    {arrow.source.name} --> {arrow.dest.name}" for arrow in asides(picture)]
    lines += ["", *(f"    {final.name} --> [*]" for final in picture.finals)]
    return "\n".join(lines) + "\n"


def _classes(picture: Picture) -> list[str]:
    styles = [("plain", PLAIN), *((_class(lane.phrase), TINTS[number]) for number, lane in enumerate(picture.lanes))]
    return [f"    classDef {name} fill:{fill},stroke:{stroke},color:{INK}" for name, (fill, stroke) in styles] + [USUAL]


def _class(phrase: str) -> str:
    return phrase.replace(" ", "_")


def _state(picture: Picture, spec: Spec) -> list[str]:
    """A state's lines of text, and its class."""
    name = spec.state.name
    kind = next((_class(lane.phrase) for lane in picture.lanes if name in lane.states), "plain")
    facts = [fact for fact in (waits_of(spec), limit_of(spec)) if fact]
    aside = [arrow for arrow in picture.arrows if arrow.source is spec.state and is_aside(picture, arrow)]
    for dest in dict.fromkeys(arrow.dest for arrow in aside):
        lines = [line._replace(action="") for arrow in aside if arrow.dest is dest for line in arrow.lines]
        facts += [f"{whither(spec.state, dest)} by {', '.join(dict.fromkeys(map(spell, lines)))}"]
    usual = [f"    class {name} usual"] if is_usual(picture, spec.state) else []
    return [f"    {name} : {'<br/>'.join([name, *facts])}", f"    class {name} {kind}", *usual]


def _transition(arrow: Arrow) -> str:
    text = "<br/>".join(spell(line) for line in arrow.lines)
    return f"    {arrow.source.name} --> {arrow.dest.name} : {text}"
