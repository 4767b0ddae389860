"""Looking into coroutines that are suspended, and into what the compiler has made of their functions."""

import ast
import dis
import inspect
import linecache
import textwrap
from collections.abc import Callable, Coroutine
from typing import Any, NamedTuple


class _Blocking(ast.NodeTransformer):
    """Takes `async` and `await` out of a syntax tree."""

    def visit_Await(self, node: ast.Await) -> ast.AST:
        return self.visit(node.value)  # type: ignore[no-any-return]


def statements(function: Callable[..., Any]) -> list[str]:
    """The statements of a function, without `await`."""
    tree = _Blocking().visit(ast.parse(textwrap.dedent(inspect.getsource(function))))
    return [ast.unparse(statement) for statement in tree.body[0].body]


def suspension_points(function: Callable[..., Any]) -> dict[int, int]:
    """The instructions at which a coroutine of this function can be left: offset and line of each."""
    found = [(one.offset, one.positions) for one in dis.get_instructions(function) if one.opname == "YIELD_VALUE"]
    return {offset: positions.lineno or 0 for offset, positions in found if positions is not None}


class Place(NamedTuple):
    """Where a suspended coroutine is: its line, and that line's text; the offset of the instruction at which it was
    left; the coroutines from it to the one that was left innermost; and the bytes that its variables hold."""

    line: int
    text: str
    offset: int
    chain: str
    remembers: str


def place(coroutine: Coroutine[Any, Any, Any]) -> Place:
    """Ask a suspended coroutine."""
    names: list[str] = []
    inner: Any = coroutine
    frame = inner.cr_frame
    while inner is not None:
        names.append(inner.__name__)
        inner = getattr(inner, "cr_await", None)  # the innermost is a generator
    text = linecache.getline(frame.f_code.co_filename, frame.f_lineno).strip()
    kept = [f"{name} = {value!r}" for name, value in frame.f_locals.items() if isinstance(value, bytes)]
    return Place(frame.f_lineno, text, frame.f_lasti, " > ".join(names), ", ".join(kept))
