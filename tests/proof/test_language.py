"""The language of guards and effects: what it says to Spin and to the explorer, and what it refuses."""

import pytest

from proof.language import Promela, Python, WorldError
from proof.world import Layout
from tests.proof.toys import lamps

PYTHON = Python(Layout(lamps(), "s[{index}]"))
PROMELA = Promela(Layout(lamps(), "{name}"))


@pytest.mark.parametrize(
    ("text", "python", "promela"),
    [
        ("lit == 1", "(s[2] == 1)", "(lit == 1)"),
        ("at(a, LIT)", "(s[0] == 2)", "(a == 2)"),
        ("at(b, DARK, BROKEN)", "(s[1] == 1 or s[1] == 3)", "(b == 1 || b == 3)"),
        ("alive(a) and not lit > 2", "((s[0] != 0) and (not (s[2] > 2)))", "((a != 0) && (!(lit > 2)))"),
        ("heeds(a, DROPPED) or lit + 1 < 3", "((s[0] == 2) or ((s[2] + 1) < 3))", "((a == 2) || ((lit + 1) < 3))"),
        ("True", "1", "1"),
    ],
)
def test_an_expression_is_printed_for_both(text: str, python: str, promela: str) -> None:
    assert PYTHON.expression(text) == python
    assert PROMELA.expression(text) == promela


def test_an_effect_is_printed_for_both() -> None:
    text = "if lit:\n    lit -= 1\nelse:\n    tell(b, SWITCHED)\nassert lit < 2\n"
    assert PYTHON.block(text, 0) == [
        "if s[2]:",
        "    s[2] = int(s[2] - 1)",
        "else:",
        "    q.append((2, 1, 0))",
        "if not (s[2] < 2): raise Broken('lit < 2')",
    ]
    assert PROMELA.block(text, 0) == [
        "if",
        ":: lit ->",
        "    lit = lit - 1;",
        ":: else ->",
        "    assert(nfull(queue));",
        "    queue!2,1,0;",
        "fi;",
        "assert((lit < 2)); /* lit < 2 */",
    ]


@pytest.mark.parametrize(
    "text", ["nothing == 1", "at(a, RED)", "heeds(a, SHOUTED)", "lit * 2", "lit < 2 < 3", "a.b", "print(lit)", "1 +"]
)
def test_what_is_no_expression_is_refused(text: str) -> None:
    with pytest.raises(WorldError):
        PYTHON.expression(text)


@pytest.mark.parametrize(
    "text", ["tell(c, SWITCHED)", "offer(a, SHOUTED)", "del lit", "lit = other", "while lit: pass"]
)
def test_what_is_no_effect_is_refused(text: str) -> None:
    with pytest.raises(WorldError):
        PROMELA.block(text, 0)
