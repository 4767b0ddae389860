"""The architecture, read from the sources: who imports whom, who reads the clock, who opens the door of the state.

Each rule takes a file's path and text and names its offences. It is tried on every file that there is, and on an
offending text, so that it is seen to be able to fail.
"""

import ast
import io
import tokenize
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

ARROWS = {
    "statemachines": set[str](),
    "handlers": {"statemachines"},
    "server": {"statemachines", "handlers"},
    "diagrams": {"statemachines"},
    "labs": {"statemachines", "handlers", "server", "diagrams", "benchmarks"},
    "benchmarks": {"statemachines", "handlers", "server", "diagrams"},
    "tests": {"statemachines", "handlers", "server", "diagrams", "benchmarks", "labs"},
}
"""Which packages each may import, besides itself. DESIGN.md section 3."""

SHIPPED = ("statemachines", "handlers", "server", "diagrams")

PURE = {"enum", "dataclasses", "typing", "abc", "collections", "functools", "itertools"}
PURE |= {"transitions", "mypy_extensions", "statemachines"}
"""All that the rules may import: nothing that opens, reads, waits or tells."""

CLOCKS = {
    "time": {"time", "monotonic", "perf_counter", "process_time", "thread_time", "clock_gettime", "sleep"},
    "datetime": {"now", "utcnow", "today"},
}
CLOCK_READERS = {"server/loop.py", "server/logs.py", "server/log_writer.py"}
"""The loop, and the logs: these stamp their lines, and gather them on a thread of their own."""

LONGEST = 400

Rule = Callable[[str, str], list[str]]


def package(path: str) -> str:
    return path.split("/", 1)[0]


def nodes(source: str) -> Iterator[ast.AST]:
    return ast.walk(ast.parse(source))


def imports(source: str) -> list[str]:
    """The dotted names of modules that a source imports, wherever in it. A relative one begins with a dot."""
    found = []
    for node in nodes(source):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found.append("." * node.level + (node.module or ""))
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in ("__import__", "importlib.import_module"):
            found += [str(argument.value) for argument in node.args[:1] if isinstance(argument, ast.Constant)]
    return found


def wrong_arrows(path: str, source: str) -> list[str]:
    """Imports of our packages against the arrows, and relative ones, which hide them."""
    here = package(path)
    roots = [name.split(".", 1)[0] for name in imports(source)]
    wrong = [f"imports {root}" for root in roots if root in ARROWS and root != here and root not in ARROWS[here]]
    return wrong + ["imports relatively" for root in roots if not root]


def impurities(path: str, source: str) -> list[str]:
    """What statemachines/ imports beyond the pure: a socket, a clock, a log."""
    if package(path) != "statemachines":
        return []
    return [f"imports {name}" for name in imports(source) if name.split(".", 1)[0] not in PURE]


def stray_pollers(path: str, source: str) -> list[str]:
    """Imports of select or selectors outside the poller."""
    if package(path) not in SHIPPED or path == "server/poller.py":
        return []
    return [f"imports {name}" for name in imports(source) if name in ("select", "selectors")]


WALL_CLOCKS = {
    ("server/http/responses.py", "time.time"),  # Date
    ("handlers/static.py", "time.time"),  # whether Last-Modified is strong (RFC 9110 section 8.8.2.2)
}


def stray_clocks(path: str, source: str) -> list[str]:
    """Readings of a clock outside the loop and the logs, and outside of what HTTP wants the date for."""
    if package(path) not in SHIPPED or path in CLOCK_READERS:
        return []
    wrong = []
    for node in nodes(source):
        if isinstance(node, ast.ImportFrom) and node.module == "time":
            wrong += [f"time.{alias.name}" for alias in node.names if _is_clock("time", alias.name)]
        elif isinstance(node, ast.Attribute):
            owner = ast.unparse(node.value).rsplit(".", 1)[-1]
            owner = "datetime" if owner == "date" else owner
            wrong += [f"{owner}.{node.attr}"] if _is_clock(owner, node.attr) else []
    return [f"reads {clock}" for clock in wrong if (path, clock) not in WALL_CLOCKS]


def _is_clock(module: str, name: str) -> bool:
    return name.removesuffix("_ns") in CLOCKS.get(module, ())


def second_doors(path: str, source: str) -> list[str]:
    """Assignments to `.state` or `.node` outside the engine, by whatever means."""
    if path == "statemachines/engine.py":
        return []
    wrong = []
    for node in nodes(source):
        if isinstance(node, ast.Attribute) and not isinstance(node.ctx, ast.Load) and node.attr in ("state", "node"):
            wrong.append(f"line {node.lineno} assigns {ast.unparse(node)}")
        elif isinstance(node, ast.Call) and "setattr" in ast.unparse(node.func).rsplit(".", 1)[-1]:
            named = [argument.value for argument in node.args[1:2] if isinstance(argument, ast.Constant)]
            wrong += [f"line {node.lineno} sets {name}" for name in named if name in ("state", "node")]
    return wrong


def blank_ignores(path: str, source: str) -> list[str]:
    """Comments that silence mypy without saying about what."""
    comments = (
        token for token in tokenize.generate_tokens(io.StringIO(source).readline) if token.type == tokenize.COMMENT
    )
    return [
        f"line {token.start[0]} ignores everything"
        for token in comments
        if "type: ignore" in token.string and "type: ignore[" not in token.string
    ]


def long_modules(path: str, source: str) -> list[str]:
    """Modules of more lines than are read at a sitting. Tests may be longer: nobody reads them through."""
    count = len(source.splitlines())
    return [f"{count} lines"] if package(path) != "tests" and count > LONGEST else []


RULES: list[Rule] = [
    wrong_arrows,
    impurities,
    stray_pollers,
    stray_clocks,
    second_doors,
    blank_ignores,
    long_modules,
]


def place_of_tests(path: str) -> str | None:
    """Where the tests of a shipped module are; None for those that need none of their own."""
    folder, _, name = path.rpartition("/")
    if package(path) not in SHIPPED or name in ("__init__.py", "__main__.py"):
        return None
    return f"tests/{folder}/test_{name}"


def untested(paths: set[str]) -> list[str]:
    """Modules without their test file."""
    wanted = {path: place_of_tests(path) for path in sorted(paths)}
    return [f"{path} has no {wanted[path]}" for path in wanted if wanted[path] and wanted[path] not in paths]


def sources() -> dict[str, str]:
    """Every Python source of the project, by its path; hidden folders are not ours."""
    paths = (path.relative_to(ROOT) for folder in ARROWS for path in sorted((ROOT / folder).rglob("*.py")))
    ours = [path for path in paths if not any(part.startswith(".") for part in path.parts)]
    return {path.as_posix(): (ROOT / path).read_text(encoding="utf-8") for path in ours}


SOURCES = sources()


@pytest.mark.parametrize("path", SOURCES)
def test_every_source_keeps_every_rule(path: str) -> None:
    assert {rule.__name__: found for rule in RULES if (found := rule(path, SOURCES[path]))} == {}


def test_every_module_has_its_test_file() -> None:
    assert untested(set(SOURCES)) == []


def test_there_are_sources_to_be_read() -> None:
    assert {package(path) for path in SOURCES} >= {*SHIPPED, "tests"}


OFFENCES: list[tuple[Rule, str, str, list[str]]] = [
    (wrong_arrows, "statemachines/engine.py", "from handlers import router", ["imports handlers"]),
    (wrong_arrows, "statemachines/checks.py", "import server.loop", ["imports server"]),
    (wrong_arrows, "handlers/static.py", "import server", ["imports server"]),
    (wrong_arrows, "handlers/static.py", "def f():\n    from diagrams import draw", ["imports diagrams"]),
    (wrong_arrows, "server/cli.py", "import diagrams.draw", ["imports diagrams"]),
    (wrong_arrows, "diagrams/draw.py", "import server.loop", ["imports server"]),
    (wrong_arrows, "diagrams/draw.py", "import handlers", ["imports handlers"]),
    (wrong_arrows, "server/cli.py", "import labs", ["imports labs"]),
    (wrong_arrows, "server/cli.py", "from benchmarks import engine", ["imports benchmarks"]),
    (wrong_arrows, "server/cli.py", "import tests.fakes", ["imports tests"]),
    (wrong_arrows, "benchmarks/load.py", "import labs.load", ["imports labs"]),
    (wrong_arrows, "handlers/static.py", "__import__('server')", ["imports server"]),
    (wrong_arrows, "handlers/static.py", "importlib.import_module('server.loop')", ["imports server"]),
    (wrong_arrows, "handlers/static.py", "from . import router", ["imports relatively"]),
    (impurities, "statemachines/listener.py", "import socket", ["imports socket"]),
    (impurities, "statemachines/listener.py", "import time, logging", ["imports time", "imports logging"]),
    (impurities, "statemachines/listener.py", "from select import epoll", ["imports select"]),
    (impurities, "statemachines/listener.py", "import structlog", ["imports structlog"]),
    (stray_pollers, "server/loop.py", "import select", ["imports select"]),
    (stray_pollers, "handlers/backends/threads.py", "from selectors import DefaultSelector", ["imports selectors"]),
    (stray_clocks, "server/connection.py", "import time\ntime.monotonic()", ["reads time.monotonic"]),
    (stray_clocks, "server/connection.py", "from time import perf_counter_ns", ["reads time.perf_counter_ns"]),
    (stray_clocks, "handlers/mail.py", "import time\nclock = time.time", ["reads time.time"]),
    (stray_clocks, "handlers/mail.py", "datetime.datetime.now()", ["reads datetime.now"]),
    (stray_clocks, "handlers/mail.py", "date.today()", ["reads datetime.today"]),
    (stray_clocks, "handlers/mail.py", "time.sleep(1)", ["reads time.sleep"]),
    (stray_clocks, "server/http/responses.py", "time.monotonic()", ["reads time.monotonic"]),
    (second_doors, "server/connection.py", "self.state = S.CLOSED", ["line 1 assigns self.state"]),
    (second_doors, "server/loop.py", "machine.node = node", ["line 1 assigns machine.node"]),
    (second_doors, "server/loop.py", "a, machine.state = 1, 2", ["line 1 assigns machine.state"]),
    (second_doors, "server/loop.py", "machine.state += 1", ["line 1 assigns machine.state"]),
    (second_doors, "server/loop.py", "for machine.node in nodes: pass", ["line 1 assigns machine.node"]),
    (second_doors, "server/loop.py", "del machine.node", ["line 1 assigns machine.node"]),
    (second_doors, "server/loop.py", "setattr(machine, 'state', 1)", ["line 1 sets state"]),
    (second_doors, "server/loop.py", "object.__setattr__(machine, 'node', 1)", ["line 1 sets node"]),
    (second_doors, "tests/server/test_loop.py", "machine.node = node", ["line 1 assigns machine.node"]),
    (blank_ignores, "server/loop.py", "x = 1\ny = 2  # type: ignore", ["line 2 ignores everything"]),
    (long_modules, "server/loop.py", "x = 1\n" * (LONGEST + 1), [f"{LONGEST + 1} lines"]),
]

LAWFUL: list[tuple[Rule, str, str]] = [
    (wrong_arrows, "server/loop.py", "import statemachines, handlers, socket, server.poller"),
    (wrong_arrows, "labs/coroutines.py", "import server, handlers, statemachines, diagrams"),
    (impurities, "statemachines/engine.py", "import enum, collections.abc, transitions.extensions"),
    (impurities, "server/loop.py", "import socket, time"),
    (stray_pollers, "server/poller.py", "import select, selectors"),
    (stray_clocks, "server/loop.py", "time.monotonic()"),
    (stray_clocks, "server/http/responses.py", "time.time()"),
    (stray_clocks, "server/http/responses.py", "time.gmtime(seconds)"),
    (stray_clocks, "benchmarks/engine.py", "time.perf_counter()"),
    (second_doors, "statemachines/engine.py", "machine.node = edge.dest"),
    (second_doors, "server/loop.py", "state = machine.state\nnode = machine.node"),
    (blank_ignores, "server/loop.py", 'x = "# type: ignore"  # type: ignore[misc]'),
    (long_modules, "server/loop.py", "x = 1\n" * LONGEST),
    (long_modules, "tests/server/test_loop.py", "x = 1\n" * (LONGEST + 1)),
]


@pytest.mark.parametrize(("rule", "path", "source", "offences"), OFFENCES)
def test_a_rule_names_the_offence(rule: Rule, path: str, source: str, offences: list[str]) -> None:
    assert rule(path, source) == offences


@pytest.mark.parametrize(("rule", "path", "source"), LAWFUL)
def test_a_rule_lets_the_lawful_pass(rule: Rule, path: str, source: str) -> None:
    assert rule(path, source) == []


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_is_shown_to_be_able_to_fail_and_to_pass(rule: Rule) -> None:
    assert rule in [offended for offended, _, _, _ in OFFENCES]
    assert rule in [kept for kept, _, _ in LAWFUL]


def test_a_module_without_its_test_file_is_named() -> None:
    paths = {"server/http/gate.py", "server/http/__init__.py", "server/__main__.py", "tests/server/http/test_h11.py"}
    assert untested(paths) == ["server/http/gate.py has no tests/server/http/test_gate.py"]
    assert untested(paths | {"tests/server/http/test_gate.py"}) == []
    assert untested({"labs/coroutines.py", "benchmarks/engine.py"}) == []
