"""What people read is plain English: the texts of the program, and its pages, without the phrases that were a riddle.

Texts are the string constants of the shipped sources, but for docstrings; those of the page's scripts; and docs/*.md.
The list is of phrases that have been replaced once, with what to write instead.
"""

import ast
import io
import re
import tokenize
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.support.many import for_each

INSTEAD = {
    r"\bhang-up only\b": "nothing but a disconnect",
    r"\blawful(ly)?\b": "normal, allowed",
    r"\bwhoever\b": "the caller, the client",
    r"\bin vain\b": "without success",
    r"\bnobody\b": "name what is missing",
    r"\bpassages?\b": "transition",
    r"\bis to be an?\b": "must be",
    r"\bcan not\b": "cannot",
    r"\b(is|are) none\b": "is not, there is no",
    r"(?i:(?<!there ))\bis no (JSON|recording|URL|path|address|socket|filter|connection|chunks)\b": "is not a",
    r"\b(agreed|agreeing|agree) upon\b": "handshake",
    r"\bwho (tells|reads|walks|asks)\b": "name the part",
    r"\bgoes? on\b": "continues, is running again",
    r"\bwhat was asked\b": "the application, the backend, the operation",
    r"\bbroke(n)? (the connection )?off\b": "reset the connection",
    r"\b(one|that) (is|was) made up\b": "generated",
    r"\bgoodbye\b": "the last response",
    r"\bthrice\b|\bdearer\b": "three times, slower",
    r"\bfor idleness\b": "as idle",
}
"""A pattern of each, and what is plain."""

IN_PROSE = {
    r"\bhand(s|ed|ing)? back\b": "return",
    r"\bpassages?\b": "transition",
    r"\blawful(ly)?\b": "normal, allowed",
    r"\bwhoever\b": "the caller, the client",
    r"\bin vain\b": "without success",
    r"\bcan not\b": "cannot",
    r"\bupon\b": "on",
    r"\bfor ever\b": "forever",
    r"\bnone any more\b": "no longer a ...",
    r"\bthrice\b|\bdearer\b": "three times, slower",
    r"\bis to be an?\b": "must be",
    r"\bgoodbye\b": "the last response",
}
"""As INSTEAD, for docstrings and comments."""

NOT_NAMES = {
    "hasten": "flush_if_late",
    "attend": "update_interest",
    "heeds": "accepted_events",
    "glance": "facts",
    "patience": "limit, timeout",
    "placeless": "pseudo_descriptor",
    "presumed": "deferred",
    "presume_writable": "defer_write",
    "revisit": "schedule_read",
    "revisits": "scheduled",
    "passage": "transition",
    "passages": "transitions",
    "lawful": "normal",
    "trail": "history, ring",
}
"""Identifiers that have been replaced, whatever their case, with or without an underscore before them."""

ALLOWED = ("handlers/mail/samples.py",)
"""Letters, which may have a style of their own."""

SHIPPED = ("clerestory", "statemachines", "handlers", "server", "diagrams", "manual")
CODE = re.compile(r"\$\{[^}]*\}")
QUOTED = re.compile(r"`[^`]*`|\"[^\"]*\"")
TEXT = re.compile(r"\"(?:[^\"\\\n]|\\.)*\"|`(?:[^`\\]|\\.)*`")


def found_in(text: str, phrases: Mapping[str, str] = INSTEAD) -> list[str]:
    """The `phrases` in `text` that are to be replaced, each with what to write."""
    return [
        f"{match[0]!r}: write {plain}"
        for odd, plain in phrases.items()
        if (match := re.search(odd, text, re.IGNORECASE))
    ]


def texts_of(source: str) -> Iterator[tuple[int, str]]:
    """The string constants of a Python source that are texts of more than one word, with their lines."""
    tree = ast.parse(source)
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield from [(node.lineno, node.value)] if " " in node.value else []


def prose_of(source: str) -> Iterator[tuple[int, str]]:
    """The docstrings and comments of a Python source, with their lines; but for the names in them, which are quoted."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield node.lineno, " ".join(QUOTED.sub("", node.value.value).split())
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], QUOTED.sub("", token.string)


def odd_names(source: str) -> list[tuple[int, str]]:
    """The identifiers of a Python source that are to be replaced, with their lines."""
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    names = [(token.start[0], token.string) for token in tokens if token.type == tokenize.NAME]
    return [(line, name) for line, name in names if name.lower().strip("_") in NOT_NAMES]


def page_texts(source: str) -> Iterator[tuple[int, str]]:
    """The quoted texts of a script, with their lines."""
    for number, line in enumerate(source.splitlines(), 1):
        yield from ((number, text) for text in TEXT.findall(CODE.sub("", line.partition("// ")[0])) if " " in text)


PYTHON = [
    path
    for folder in SHIPPED
    for path in sorted(Path(folder).rglob("*.py"))
    if not any(part[0] == "." for part in path.parts)
]
PAGE = sorted(Path("server/xray/page").glob("*.js"))
READ_FIRST = ("README.md", "CONTRIBUTING.md", "deploy/README.md", "diagrams/README.md", "server/xray/page/index.html")
PROSE = [*sorted(Path("docs").glob("*.md")), *map(Path, READ_FIRST)]


@for_each("path", PYTHON)
def test_the_texts_of_the_program_are_plain(path: Path) -> None:
    if path.as_posix().removeprefix("clerestory/") not in ALLOWED:
        texts = texts_of(path.read_text(encoding="utf-8"))
        assert [(line, text, odd) for line, text in texts if (odd := found_in(text))] == []


@pytest.mark.parametrize("path", PYTHON, ids=str)
def test_docstrings_comments_and_names_are_plain(path: Path) -> None:
    if path.as_posix().removeprefix("clerestory/") not in ALLOWED:
        source = path.read_text(encoding="utf-8")
        assert [(line, odd) for line, text in prose_of(source) if (odd := found_in(text, IN_PROSE))] == []
        assert odd_names(source) == []


@pytest.mark.parametrize("path", PAGE, ids=str)
def test_the_texts_of_the_page_are_plain(path: Path) -> None:
    texts = page_texts(path.read_text(encoding="utf-8"))
    assert [(line, text, odd) for line, text in texts if (odd := found_in(text))] == []


@pytest.mark.parametrize("path", PROSE, ids=str)
def test_the_documentation_is_plain(path: Path) -> None:
    lines = enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
    assert [(number, odd) for number, line in lines if (odd := found_in(line))] == []


def test_a_phrase_is_found_wherever_it_is_read() -> None:
    assert found_in("Nobody answers.") == ["'Nobody': write name what is missing"]
    assert list(texts_of('"""nobody"""\nsay("for nobody")')) == [(2, "for nobody")]
    assert list(page_texts('say("a b", "nobody");  // nobody\nsay(`for nobody`);')) == [
        (1, '"a b"'),
        (2, "`for nobody`"),
    ]
    assert found_in("The limit is reached.") == []


def test_prose_and_names_are_found_wherever_they_are() -> None:
    source = 'def f():\n    """It hands\n    back `passages`."""\n    x = 1  # in vain\n    self._passages = GLANCE'
    assert [odd for _, text in prose_of(source) if (odd := found_in(text, IN_PROSE))] == [
        ["'hands back': write return"],
        ["'in vain': write without success"],
    ], "what is quoted is a name"
    assert odd_names(source) == [(5, "_passages"), (5, "GLANCE")]
    assert odd_names('x = "passages"  # passages') == []


def test_there_are_texts_to_be_read() -> None:
    assert min(len(PYTHON), 10 * len(PAGE), 10 * len(PROSE)) > 100
