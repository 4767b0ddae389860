"""The language of a world's guards and effects: a subset of Python that both checkers are given.

An effect is lines of assignments, `if`/`elif`/`else`, `assert`, and calls:

    begin(u)                 the machine `u` is made, in its initial state; it must not be there already
    tell(u, REQUEST_GIVEN)   queued, as Loop.after: told when the current walk has come to rest; must have a row then
    offer(u, CALLER_LEFT)    the same, and dropped where there is no row for it by then, as Loop.offer

A guard is an expression of variables and numbers, with the calls:

    at(u, IDLE, CLOSED)      `u` is in one of these states
    alive(u)                 `u` is there
    heeds(u, CALLER_LEFT)    the state of `u` has a row for that trigger

Everything is a small whole number. `Promela` and `Python` print it for Spin and for the explorer.
"""

import ast
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Protocol

from clerestory.statemachines.contract import Name, Row, Table


class Names(Protocol):
    """What the names in an effect or a guard stand for."""

    def variable(self, name: str) -> str:
        """How the variable is printed. Raises KeyError."""

    def table(self, part: str) -> Table:
        """The table of the machine called `part`. Raises KeyError."""

    def number(self, part: str) -> int:
        """The number of that machine, from 1."""


class WorldError(Exception):
    """A world's description that cannot be understood; the message says where."""


def state_number(table: Table, state: str) -> int:
    """The number of a state, from 1; 0 stands for a machine that is not there."""
    return list(table.states.__members__).index(state) + 1


def trigger_number(table: Table, trigger: str) -> int:
    """The number of a trigger, from 1; 0 stands for none."""
    return list(table.triggers.__members__).index(trigger) + 1


def heeding(table: Table, trigger: str) -> list[Name]:
    """The states that have a row for `trigger`."""
    return list(dict.fromkeys(row.source for row in table.rows if row.trigger == trigger))


def rows_of(table: Table, state: Name, trigger: Name) -> list[Row]:
    """The rows for one state and trigger, in the order in which they are tried."""
    return [row for row in table.rows if row.source is state and row.trigger is trigger]


_OPERATORS: dict[type[ast.AST], str] = {
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.Add: "+",
    ast.Sub: "-",
}


class Printer(ABC):
    """What both languages share. A subclass says how they differ."""

    both, either, negation = "and", "or", "not "

    def __init__(self, names: Names) -> None:
        self._names = names

    # --- expressions

    def expression(self, text: str) -> str:
        """The expression `text`, printed."""
        try:
            return self._expression(ast.parse(text.strip(), mode="eval").body)
        except (SyntaxError, KeyError, ValueError) as error:
            raise WorldError(f"{text!r}: {error!r}") from error

    def _expression(self, node: ast.AST) -> str:
        match node:
            case ast.Constant(value=bool() | int() as value):
                return str(int(value))
            case ast.Name(id=name):
                return self._names.variable(name)
            case ast.BoolOp(op=ast.And(), values=values):
                return "(" + f" {self.both} ".join(map(self._expression, values)) + ")"
            case ast.BoolOp(values=values):
                return "(" + f" {self.either} ".join(map(self._expression, values)) + ")"
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return f"({self.negation}{self._expression(operand)})"
            case ast.BinOp(left=left, op=op, right=right):
                return f"({self._expression(left)} {_OPERATORS[type(op)]} {self._expression(right)})"
            case ast.Compare(left=left, ops=[op], comparators=[right]):
                return f"({self._expression(left)} {_OPERATORS[type(op)]} {self._expression(right)})"
            case ast.Call(func=ast.Name(id="alive"), args=[ast.Name(id=part)]):
                return f"({self._names.variable(part)} != 0)"
            case ast.Call(func=ast.Name(id="at"), args=[ast.Name(id=part), *states]):
                table = self._names.table(part)
                return self._is_one_of(part, [state_number(table, _name(state)) for state in states])
            case ast.Call(func=ast.Name(id="heeds"), args=[ast.Name(id=part), ast.Name(id=trigger)]):
                table = self._names.table(part)
                trigger_number(table, trigger)
                return self._is_one_of(part, [state_number(table, state) for state in heeding(table, trigger)])
        raise WorldError(f"not understood: {ast.unparse(node)}")

    def _is_one_of(self, part: str, numbers: list[int]) -> str:
        variable = self._names.variable(part)
        return "(" + f" {self.either} ".join(f"{variable} == {number}" for number in numbers or [255]) + ")"

    # --- statements

    def block(self, text: str, indent: int) -> list[str]:
        """The lines of the effect `text`, printed."""
        try:
            return self._block(ast.parse(_dedent(text)).body, indent)
        except (SyntaxError, KeyError, ValueError) as error:
            raise WorldError(f"{text!r}: {error!r}") from error

    def _block(self, nodes: list[ast.stmt], indent: int) -> list[str]:
        return [line for node in nodes for line in self._statement(node, indent)]

    def _statement(self, node: ast.stmt, indent: int) -> list[str]:
        pad = "    " * indent
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                return [pad + self._assignment(self._names.variable(name), self._expression(value))]
            case ast.AugAssign(target=ast.Name(id=name), op=op, value=value):
                variable = self._names.variable(name)
                changed = f"{variable} {_OPERATORS[type(op)]} {self._expression(value)}"
                return [pad + self._assignment(variable, changed)]
            case ast.Assert(test=test):
                return [pad + self.claim(self._expression(test), ast.unparse(test))]
            case ast.If(test=test, body=body, orelse=orelse):
                return self._choice(self._expression(test), body, orelse, indent)
            case ast.Expr(value=ast.Call(func=ast.Name(id="begin"), args=[ast.Name(id=part)])):
                table, variable = self._names.table(part), self._names.variable(part)
                claim = self.claim(f"({variable} == 0)", f"{part} is made once")
                return [pad + claim, pad + self._assignment(variable, str(state_number(table, table.initial)))]
            case ast.Expr(
                value=ast.Call(
                    func=ast.Name(id="tell" | "offer" as how), args=[ast.Name(id=part), ast.Name(id=trigger)]
                )
            ):
                number = trigger_number(self._names.table(part), trigger)
                return [pad + line for line in self._message(self._names.number(part), number, how == "offer")]
            case ast.Pass():
                return [pad + self.nothing]
        raise WorldError(f"not understood: {ast.unparse(node)}")

    nothing = "pass"

    @abstractmethod
    def _assignment(self, variable: str, value: str) -> str:
        """A statement that gives `variable` the `value`."""

    @abstractmethod
    def claim(self, test: str, meaning: str) -> str:
        """An assertion; `meaning` says what it says."""

    @abstractmethod
    def _choice(self, test: str, body: list[ast.stmt], orelse: list[ast.stmt], indent: int) -> list[str]:
        """`body` if `test` holds, else `orelse`."""

    @abstractmethod
    def _message(self, part: int, trigger: int, optional: bool) -> list[str]:
        """A statement that tells the machine number `part` the `trigger`; `optional` where it may have no row."""


class Promela(Printer):
    """For Spin."""

    both, either, negation = "&&", "||", "!"
    nothing = "skip;"

    def _assignment(self, variable: str, value: str) -> str:
        return f"{variable} = {value};"

    def claim(self, test: str, meaning: str) -> str:
        return f"assert({test}); /* {meaning} */"

    def _choice(self, test: str, body: list[ast.stmt], orelse: list[ast.stmt], indent: int) -> list[str]:
        pad = "    " * indent
        after = self._block(orelse, indent + 1) or [pad + "    skip;"]
        return [
            f"{pad}if",
            f"{pad}:: {test} ->",
            *self._block(body, indent + 1),
            f"{pad}:: else ->",
            *after,
            f"{pad}fi;",
        ]

    def _message(self, part: int, trigger: int, optional: bool) -> list[str]:
        return ["assert(nfull(queue));", f"queue!{part},{trigger},{int(optional)};"]


class Python(Printer):
    """For the explorer: `s` is the list of variables, `q` the queue."""

    def _assignment(self, variable: str, value: str) -> str:
        return f"{variable} = int({value})"

    def claim(self, test: str, meaning: str) -> str:
        return f"if not {test}: raise Broken({meaning!r})"

    def _choice(self, test: str, body: list[ast.stmt], orelse: list[ast.stmt], indent: int) -> list[str]:
        pad = "    " * indent
        lines = [f"{pad}if {test}:", *self._block(body, indent + 1)]
        return [*lines, f"{pad}else:", *self._block(orelse, indent + 1)] if orelse else lines

    def _message(self, part: int, trigger: int, optional: bool) -> list[str]:
        return [f"q.append(({part}, {trigger}, {int(optional)}))"]


def _name(node: ast.AST) -> str:
    if isinstance(node, ast.Name):
        return node.id
    raise WorldError(f"not a name: {ast.unparse(node)}")


def _dedent(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    margin = min((len(line) - len(line.lstrip()) for line in lines), default=0)
    return "\n".join(line[margin:] for line in lines) + "\n"


Print = Callable[[Names], Printer]
