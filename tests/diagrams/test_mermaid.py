"""The Mermaid text, held against the small part of the grammar of stateDiagram-v2 that it uses."""

import re

import pytest

from clerestory.diagrams.mermaid import to_mermaid
from clerestory.diagrams.picture import Picture, picture_of
from clerestory.statemachines.tables import TABLES

PICTURES = {name: picture_of(table) for name, table in TABLES.items()}
each_picture = pytest.mark.parametrize("picture", PICTURES.values(), ids=PICTURES.keys())

TEXT = r"[A-Za-z0-9_\[\]/ ',.-]+(?:<br/>[A-Za-z0-9_\[\]/ ',.-]+)*"
GRAMMAR = [
    r"",
    r"stateDiagram-v2",
    r"    %% [^{}]*",
    r"    direction TB",
    r"    classDef [a-z_]+ fill:#[0-9a-f]{6},stroke:#[0-9a-f]{6},color:#[0-9a-f]{6}",
    r"    classDef usual stroke:#1c5d99,stroke-width:3px",
    r"    class [A-Z_]+ [a-z_]+",
    rf"    [A-Z_]+ : {TEXT}",
    r"    \[\*\] --> [A-Z_]+",
    r"    [A-Z_]+ --> \[\*\]",
    rf"    [A-Z_]+ --> [A-Z_]+ : {TEXT}",
    r"    [A-Z_]+ --> [A-Z_]+",
]


@each_picture
def test_every_line_is_of_the_grammar(picture: Picture) -> None:
    text = to_mermaid(picture)
    assert text.startswith("stateDiagram-v2\n")
    assert text.endswith("\n")
    strange = [line for line in text.splitlines() if not any(re.fullmatch(rule, line) for rule in GRAMMAR)]
    assert strange == []


@each_picture
def test_every_transition_is_an_arrow_with_its_text_or_told_in_the_card_of_its_state(picture: Picture) -> None:
    lines = to_mermaid(picture).splitlines()
    for arrow in picture.arrows:
        spelt = [" ".join([line.trigger, line.condition()]).strip() for line in arrow.lines]
        (card,) = [line for line in lines if line.startswith(f"    {arrow.source.name} : ")]
        again = " again" if arrow.source is arrow.dest else ""
        told = re.findall(rf"<br/>to {arrow.dest.name}{again} by ((?:(?!<br/>).)*)", card)
        short = {" ".join([line.trigger, line.guard and f"[{line.guard}]"]).strip() for line in arrow.lines}
        is_told = bool(told) and short <= set(told[0].split(", "))
        is_arrow = f"    {arrow.source.name} --> {arrow.dest.name} : {'<br/>'.join(spelt)}" in lines
        assert is_told != is_arrow


@each_picture
def test_every_state_has_its_text_and_a_class_that_is_defined(picture: Picture) -> None:
    text = to_mermaid(picture)
    defined = set(re.findall(r"classDef (\w+)", text))
    used = dict(re.findall(r"    class (\w+) (\w+)", text))
    assert set(used) == {spec.state.name for spec in picture.specs}
    assert set(used.values()) <= defined
    assert all(f"    {spec.state.name} : {spec.state.name}<br/>" in text for spec in picture.specs)


@each_picture
def test_it_begins_at_the_initial_state_and_ends_at_the_final_ones(picture: Picture) -> None:
    text = to_mermaid(picture)
    assert text.count("[*]") == 1 + len(picture.finals)
    assert f"    [*] --> {picture.initial.name}\n" in text
    assert all(f"    {final.name} --> [*]\n" in text for final in picture.finals)


def test_the_usual_path_comes_first() -> None:
    transitions = [line for line in to_mermaid(PICTURES["connection"]).splitlines() if " --> " in line]
    assert transitions[1:4] == [
        "    AWAITING_REQUEST --> QUERYING_BACKEND : HEAD_RECEIVED / call_handler",
        "    QUERYING_BACKEND --> SENDING_RESPONSE : OUTPUT_READY / queue_output",
        "    SENDING_RESPONSE --> AWAITING_REQUEST : OUTPUT_FLUSHED [may_keep_alive] / renew",
    ]
