"""The architecture, read from the sources: who imports whom, who reads the clock, who opens the door of the state.

Each rule takes a file's path and text and names its offences. It is tried on every file that there is, and on an
offending text, so that it is seen to be able to fail.
"""

import ast
import functools
import io
import tokenize
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import pytest

from tests.support.many import for_each

ROOT = Path(__file__).resolve().parent.parent

ARROWS = {
    "statemachines": set[str](),
    "handlers": {"statemachines"},
    "server": {"statemachines", "handlers"},
    "diagrams": {"statemachines"},
    "proof": {"statemachines"},
    "manual": {"statemachines", "handlers", "server", "diagrams"},
    "labs": {"statemachines", "handlers", "server", "diagrams", "benchmarks"},
    "benchmarks": {"statemachines", "handlers", "server", "diagrams"},
    "tests": {"statemachines", "handlers", "server", "diagrams", "benchmarks", "labs", "manual", "proof"},
}
"""Which packages each may import, besides itself. DESIGN.md section 3."""

SHIPPED = ("statemachines", "handlers", "server", "diagrams")
"""The folders of the package `clerestory`, imported as `clerestory.server` and so on."""

PURE = {"enum", "dataclasses", "typing", "abc", "collections", "functools", "itertools"}
PURE |= {"transitions", "mypy_extensions", "clerestory.statemachines"}
"""All that the rules may import: nothing that opens, reads, waits or tells."""

CLOCKS = {
    "time": {"time", "monotonic", "perf_counter", "process_time", "thread_time", "clock_gettime", "sleep"},
    "datetime": {"now", "utcnow", "today"},
}
CLOCK_READERS = {"server/loop/loop.py", "server/logging/logs.py", "server/logging/writer.py"}
"""The loop, and the logs: these stamp their lines, and gather them on a thread of their own."""

LONGEST = 400

Rule = Callable[[str, str], list[str]]


def package(path: str) -> str:
    return path.split("/", 1)[0]


@functools.lru_cache(maxsize=1)
def nodes(source: str) -> tuple[ast.AST, ...]:
    """All nodes of a source: the rules that are tried on it one after the other share them."""
    return tuple(ast.walk(ast.parse(source)))


def last_name(node: ast.AST) -> str:
    """What stands behind the last dot of an expression."""
    if isinstance(node, ast.Name):
        return node.id
    return node.attr if isinstance(node, ast.Attribute) else ast.unparse(node).rsplit(".", 1)[-1]


def imports(source: str) -> list[str]:
    """The dotted names of modules that a source imports, wherever in it. A relative one begins with a dot."""
    found = []
    for node in nodes(source):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found.append("." * node.level + (node.module or ""))
        elif (
            isinstance(node, ast.Call)
            and last_name(node.func) in ("__import__", "import_module")
            and ast.unparse(node.func) in ("__import__", "importlib.import_module")
        ):
            found += [str(argument.value) for argument in node.args[:1] if isinstance(argument, ast.Constant)]
    return found


def wrong_arrows(path: str, source: str) -> list[str]:
    """Imports of our packages against the arrows, and relative ones, which hide them."""
    here = package(path)
    names = imports(source)
    roots = [name.removeprefix("clerestory.").split(".", 1)[0] for name in names]
    wrong = [f"imports {root}" for root in roots if root in ARROWS and root != here and root not in ARROWS[here]]
    return wrong + ["imports relatively" for root in roots if not root]


def observed_observer(path: str, source: str) -> list[str]:
    """Imports of the x-ray in the server: it offers an interface to its observer, and does not know it. Only the
    command line, which composes the process, imports both."""
    if package(path) != "server" or path.startswith(("server/xray/", "server/cli/")):
        return []
    return [f"imports {name}" for name in imports(source) if f"{name}.".startswith("clerestory.server.xray.")]


def bare_names(path: str, source: str) -> list[str]:
    """Imports of `server`, `handlers`, ... without `clerestory.`: these are a user's own modules, not ours."""
    return [f"imports {name}" for name in imports(source) if name.split(".", 1)[0] in SHIPPED]


def impurities(path: str, source: str) -> list[str]:
    """What statemachines/ imports beyond the pure: a socket, a clock, a log."""
    if package(path) != "statemachines":
        return []
    found = ((name, name.split(".")) for name in imports(source))
    return [f"imports {name}" for name, parts in found if parts[0] not in PURE and ".".join(parts[:2]) not in PURE]


def stray_pollers(path: str, source: str) -> list[str]:
    """Imports of select or selectors outside the poller."""
    if package(path) not in SHIPPED or path == "server/loop/poller.py":
        return []
    return [f"imports {name}" for name in imports(source) if name in ("select", "selectors")]


WALL_CLOCKS = {
    ("server/http/responses.py", "time.time"),  # Date
    ("server/xray/exports/tracing.py", "time.time_ns"),  # OpenTelemetry has its times since the epoch
    ("server/xray/serve/site.py", "time.time"),  # exports say when a connection began
    ("server/net/tls.py", "time.time"),  # whether a certificate is still good
    ("handlers/static/files.py", "time.time"),  # whether Last-Modified is strong (RFC 9110 section 8.8.2.2)
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
            owner = last_name(node.value)
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
        elif isinstance(node, ast.Call) and "setattr" in last_name(node.func):
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


Graph = dict[str, set[str]]
"""Of each module, by its path, those of ours that it imports."""


def module_names(paths: Iterable[str]) -> dict[str, str]:
    """The paths of our modules by the names that they are imported by."""
    names = {}
    for path in paths:
        name = path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        names[f"clerestory.{name}" if package(path) in SHIPPED else name] = path
    return names


def graph_of(sources: Mapping[str, str]) -> Graph:
    """Who imports whom, wherever in the file: for types only, or within a function, too."""
    names = module_names(sources)
    graph: Graph = {}
    for path, source in sources.items():
        found = set()
        for node in nodes(source):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                found |= {f"{node.module}.{alias.name}" for alias in node.names} | {str(node.module)}
        graph[path] = {names[name] for name in found if name in names} - {path}
    return graph


def cycles(sources: Mapping[str, str]) -> list[list[str]]:
    """The groups of files that import each other, directly or by way of others: none of a group can be read, tested or
    changed alone."""
    graph = graph_of(sources)
    reached = {path: _reach(graph, path) for path in graph}
    groups = {frozenset(other for other in reached[path] if path in reached[other]) for path in graph}
    return sorted(sorted(group) for group in groups if group)


def _reach(graph: Graph, path: str) -> set[str]:
    """All that `path` imports, directly or by way of others; itself, if it is on a cycle."""
    reached: set[str] = set()
    waiting = list(graph[path])
    while waiting:
        found = waiting.pop()
        if found not in reached:
            reached.add(found)
            waiting += graph[found]
    return reached


RULES: list[Rule] = [
    wrong_arrows,
    observed_observer,
    bare_names,
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


@for_each("path", SOURCES, shares=16)
def test_every_source_keeps_every_rule(path: str) -> None:
    assert {rule.__name__: found for rule in RULES if (found := rule(path, SOURCES[path]))} == {}


def test_every_module_has_its_test_file() -> None:
    assert untested(set(SOURCES)) == []


def test_no_file_imports_one_that_imports_it() -> None:
    """But for the labs: each is a story of few files, which is read as one."""
    assert cycles({path: source for path, source in SOURCES.items() if package(path) != "labs"}) == []


def test_there_are_sources_to_be_read() -> None:
    assert {package(path) for path in SOURCES} >= {*SHIPPED, "tests"}


OFFENCES: list[tuple[Rule, str, str, list[str]]] = [
    (wrong_arrows, "statemachines/engine.py", "from clerestory.handlers import router", ["imports handlers"]),
    (wrong_arrows, "statemachines/checks.py", "import clerestory.server.loop.loop", ["imports server"]),
    (wrong_arrows, "handlers/static/files.py", "import clerestory.server", ["imports server"]),
    (
        wrong_arrows,
        "handlers/static/files.py",
        "def f():\n    from clerestory.diagrams import draw",
        ["imports diagrams"],
    ),
    (wrong_arrows, "server/cli/main.py", "import clerestory.diagrams.draw", ["imports diagrams"]),
    (wrong_arrows, "diagrams/draw.py", "import clerestory.server.loop.loop", ["imports server"]),
    (wrong_arrows, "diagrams/draw.py", "import clerestory.handlers", ["imports handlers"]),
    (wrong_arrows, "server/cli/main.py", "import labs", ["imports labs"]),
    (wrong_arrows, "server/cli/main.py", "from benchmarks import engine", ["imports benchmarks"]),
    (wrong_arrows, "server/cli/main.py", "import tests.fakes", ["imports tests"]),
    (wrong_arrows, "benchmarks/load.py", "import labs.load", ["imports labs"]),
    (wrong_arrows, "handlers/static/files.py", "__import__('clerestory.server')", ["imports server"]),
    (
        wrong_arrows,
        "handlers/static/files.py",
        "importlib.import_module('clerestory.server.loop.loop')",
        ["imports server"],
    ),
    (wrong_arrows, "handlers/static/files.py", "from . import router", ["imports relatively"]),
    (
        observed_observer,
        "server/connection/telling.py",
        "from clerestory.server.xray.observe.recorder import Recorder",
        ["imports clerestory.server.xray.observe.recorder"],
    ),
    (observed_observer, "server/options.py", "import clerestory.server.xray", ["imports clerestory.server.xray"]),
    (bare_names, "server/cli/main.py", "from server.loop import loop", ["imports server.loop"]),
    (impurities, "statemachines/listener.py", "import socket", ["imports socket"]),
    (impurities, "statemachines/listener.py", "import time, logging", ["imports time", "imports logging"]),
    (impurities, "statemachines/listener.py", "from select import epoll", ["imports select"]),
    (impurities, "statemachines/listener.py", "import structlog", ["imports structlog"]),
    (stray_pollers, "server/loop/loop.py", "import select", ["imports select"]),
    (
        stray_pollers,
        "handlers/backends/threads/threads.py",
        "from selectors import DefaultSelector",
        ["imports selectors"],
    ),
    (stray_clocks, "server/connection/connection.py", "import time\ntime.monotonic()", ["reads time.monotonic"]),
    (
        stray_clocks,
        "server/connection/connection.py",
        "from time import perf_counter_ns",
        ["reads time.perf_counter_ns"],
    ),
    (stray_clocks, "handlers/mail/site.py", "import time\nclock = time.time", ["reads time.time"]),
    (stray_clocks, "handlers/mail/site.py", "datetime.datetime.now()", ["reads datetime.now"]),
    (stray_clocks, "handlers/mail/site.py", "date.today()", ["reads datetime.today"]),
    (stray_clocks, "handlers/mail/site.py", "time.sleep(1)", ["reads time.sleep"]),
    (stray_clocks, "server/http/responses.py", "time.monotonic()", ["reads time.monotonic"]),
    (second_doors, "server/connection/connection.py", "self.state = S.CLOSED", ["line 1 assigns self.state"]),
    (second_doors, "server/loop/loop.py", "machine.node = node", ["line 1 assigns machine.node"]),
    (second_doors, "server/loop/loop.py", "a, machine.state = 1, 2", ["line 1 assigns machine.state"]),
    (second_doors, "server/loop/loop.py", "machine.state += 1", ["line 1 assigns machine.state"]),
    (second_doors, "server/loop/loop.py", "for machine.node in nodes: pass", ["line 1 assigns machine.node"]),
    (second_doors, "server/loop/loop.py", "del machine.node", ["line 1 assigns machine.node"]),
    (second_doors, "server/loop/loop.py", "setattr(machine, 'state', 1)", ["line 1 sets state"]),
    (second_doors, "server/loop/loop.py", "object.__setattr__(machine, 'node', 1)", ["line 1 sets node"]),
    (second_doors, "tests/server/loop/test_loop.py", "machine.node = node", ["line 1 assigns machine.node"]),
    (blank_ignores, "server/loop/loop.py", "x = 1\ny = 2  # type: ignore", ["line 2 ignores everything"]),
    (long_modules, "server/loop/loop.py", "x = 1\n" * (LONGEST + 1), [f"{LONGEST + 1} lines"]),
]

NORMAL: list[tuple[Rule, str, str]] = [
    (
        wrong_arrows,
        "server/loop/loop.py",
        "import clerestory.statemachines, handlers, socket, clerestory.server.loop.poller",
    ),
    (wrong_arrows, "labs/coroutines.py", "import clerestory.server, handlers, statemachines, diagrams"),
    (observed_observer, "server/cli/main.py", "from clerestory.server.xray.inspector import Inspector"),
    (observed_observer, "server/xray/inspector.py", "from clerestory.server.xray.observe.cut import take"),
    (observed_observer, "server/process/process.py", "from clerestory.server.process.inspector import Inspector"),
    (bare_names, "server/cli/main.py", "from clerestory.server.loop import loop\nimport serverless"),
    (impurities, "statemachines/engine.py", "import enum, collections.abc, transitions.extensions"),
    (impurities, "server/loop/loop.py", "import socket, time"),
    (stray_pollers, "server/loop/poller.py", "import select, selectors"),
    (stray_clocks, "server/loop/loop.py", "time.monotonic()"),
    (stray_clocks, "server/http/responses.py", "time.time()"),
    (stray_clocks, "server/http/responses.py", "time.gmtime(seconds)"),
    (stray_clocks, "benchmarks/engine.py", "time.perf_counter()"),
    (second_doors, "statemachines/engine.py", "machine.node = edge.dest"),
    (second_doors, "server/loop/loop.py", "state = machine.state\nnode = machine.node"),
    (blank_ignores, "server/loop/loop.py", 'x = "# type: ignore"  # type: ignore[misc]'),
    (long_modules, "server/loop/loop.py", "x = 1\n" * LONGEST),
    (long_modules, "tests/server/loop/test_loop.py", "x = 1\n" * (LONGEST + 1)),
]


@pytest.mark.parametrize(("rule", "path", "source", "offences"), OFFENCES)
def test_a_rule_names_the_offence(rule: Rule, path: str, source: str, offences: list[str]) -> None:
    assert rule(path, source) == offences


@pytest.mark.parametrize(("rule", "path", "source"), NORMAL)
def test_a_rule_lets_the_lawful_pass(rule: Rule, path: str, source: str) -> None:
    assert rule(path, source) == []


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_is_shown_to_be_able_to_fail_and_to_pass(rule: Rule) -> None:
    assert rule in [offended for offended, _, _, _ in OFFENCES]
    assert rule in [kept for kept, _, _ in NORMAL]


def test_a_module_without_its_test_file_is_named() -> None:
    paths = {"server/http/gate.py", "server/http/__init__.py", "server/__main__.py", "tests/server/http/test_h11.py"}
    assert untested(paths) == ["server/http/gate.py has no tests/server/http/test_gate.py"]
    assert untested(paths | {"tests/server/http/test_gate.py"}) == []
    assert untested({"labs/coroutines.py", "benchmarks/engine.py"}) == []


@pytest.mark.parametrize(
    ("sources", "found"),
    [
        ({"a.py": "import b", "b.py": "import c", "c.py": "import d", "d.py": ""}, []),
        ({"a.py": "import b\nimport c", "b.py": "import d", "c.py": "import d", "d.py": ""}, []),
        ({"a.py": "import a"}, []),
        ({"a.py": "import b", "b.py": "from a import B"}, [["a.py", "b.py"]]),
        ({"a.py": "import b", "b.py": "def f():\n    import a"}, [["a.py", "b.py"]]),
        ({"a.py": "import b", "b.py": "if TYPE_CHECKING:\n    from a import A"}, [["a.py", "b.py"]]),
        ({"a.py": "import b", "b.py": "import c", "c.py": "import a", "d.py": "import a"}, [["a.py", "b.py", "c.py"]]),
        (
            {
                "server/loop/loop.py": "from clerestory.server.loop import sweep",
                "server/loop/sweep.py": "from clerestory.server.loop.loop import Loop",
                "server/loop/__init__.py": "",
            },
            [["server/loop/loop.py", "server/loop/sweep.py"]],
        ),
        (
            {
                "server/__init__.py": "from clerestory.server.loop import turn",
                "server/loop.py": "import clerestory.server",
            },
            [["server/__init__.py", "server/loop.py"]],
        ),
    ],
)
def test_a_cycle_is_found_whatever_its_imports_are_for(sources: dict[str, str], found: list[list[str]]) -> None:
    assert cycles(sources) == found
