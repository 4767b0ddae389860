"""The picture as a PlantUML state diagram, for documents that are written in it."""

from clerestory.diagrams.picture import Arrow, Look, Picture, limit_of, waits_of
from clerestory.statemachines.contract import Spec

STYLES = {
    Look.HAPPY: "#1c5d99,bold",
    Look.NORMAL: "#8a949e",
    Look.LATE: "#8a949e,dashed",
    Look.FAULT: "#c0574f",
    Look.FAULT_LATE: "#c0574f,dashed",
}
"""Colour and stroke of an arrow."""


def to_plantuml(picture: Picture) -> str:
    """A PlantUML text that ends in a new line."""
    lines = [f"@startuml {picture.name}", f"' {picture.name}: made by clerestory diagrams, not by hand"]
    lines += ["hide empty description", f"title {picture.name}"]
    lanes = {state for lane in picture.lanes for state in lane.states}
    for lane in picture.lanes:
        inner = [line for spec in picture.specs if spec.state.name in lane.states for line in _state(spec)]
        lines += ["", f'state "{lane.phrase}" as {lane.phrase.replace(" ", "_")} {{']
        lines += [f"  {line}" for line in inner] + ["}"]
    lines += [""] + [line for spec in picture.specs if spec.state.name not in lanes for line in _state(spec)]
    lines += ["", f"[*] --> {picture.initial.name}"]
    for look in picture.looks():
        lines += ["", f"' {look.value}"]
        lines += [_arrow(arrow) for arrow in picture.arrows if arrow.look is look]
    lines += ["", *(f"{final.name} --> [*]" for final in picture.finals), "@enduml"]
    return "\n".join(lines) + "\n"


def _state(spec: Spec) -> list[str]:
    name = spec.state.name
    return [f"state {name}", *(f"{name} : {fact}" for fact in (waits_of(spec), limit_of(spec)) if fact)]


def _arrow(arrow: Arrow) -> str:
    text = "\\n".join(" ".join(part for part in (line.trigger, line.condition()) if part) for line in arrow.lines)
    return f"{arrow.source.name} -[{STYLES[arrow.look]}]-> {arrow.dest.name} : {text}"
