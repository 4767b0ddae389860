"""`python -m benchmarks.compatibility`: one contract, every framework, several servers; writes docs/compatibility.md.

The contract is that of tests/e2e/hosting: the same tests that this server is held to, by raw sockets, of the same
applications. For another server the tests' own `serving` is replaced, by a plug-in of pytest (tests.support.contract):
the server is started as its documentation says, with one worker, and everything else at its defaults.

A test that times out has failed: a peer that does nothing is waited for PATIENCE seconds.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "compatibility.md"
HERE = "tests/e2e/hosting"
ASGI = (f"{HERE}/test_frameworks.py", f"{HERE}/test_websocket_frameworks.py")
WSGI = (f"{HERE}/test_wsgi_frameworks.py",)

FRAMEWORKS = frozenset({"plain", "starlette", "fastapi", "quart", "litestar", "falcon", "django", "channels", "flask"})
"""Whose names the tests' parameters are."""

PATIENCE = 10.0
"""Seconds until something that does not happen is a failure: the tests themselves wait 30."""
START = 30.0
"""Seconds for a server to listen."""

COMMANDS: dict[tuple[str, str], tuple[str, ...]] = {
    ("uvicorn", "asgi"): ("uvicorn", "{target}", "--port", "{port}", "--loop", "{loop}", "--log-level", "error"),
    ("hypercorn", "asgi"): ("hypercorn", "{target}", "--bind", "127.0.0.1:{port}", "--worker-class", "{loop}"),
    ("granian", "asgi"): (
        *("granian", "{target}", "--interface", "asgi", "--port", "{port}", "--loop", "{loop}"),
        "--no-log",
    ),
    ("granian", "wsgi"): ("granian", "{target}", "--interface", "wsgi", "--port", "{port}", "--no-log"),
    ("gunicorn", "asgi"): (
        *("gunicorn", "{target}", "--bind", "127.0.0.1:{port}", "--worker-class", "uvicorn_worker.UvicornWorker"),
        *("--log-level", "critical"),
    ),
    ("gunicorn", "wsgi"): (
        *("gunicorn", "{target}", "--bind", "127.0.0.1:{port}", "--worker-class", "gthread", "--threads", "8"),
        *("--log-level", "critical"),
    ),
}
"""How a peer is started, by its name and the interface."""
OURS = "clerestory"


# --- the runs


Outcomes = dict[tuple[str, str], dict[str, str]]
"""By framework and way of running, the outcome of each test by its name."""


def run(peer: str, interface: str, python: str, only: str, seconds: float) -> Outcomes:
    """Hold one server to the contract."""
    with tempfile.TemporaryDirectory() as directory:
        results = Path(directory, "results")
        results.touch()
        surroundings = os.environ | {
            "CONTRACT_PEER": "" if peer == OURS else peer,
            "CONTRACT_RESULTS": str(results),
            "CONTRACT_PYTHON": python,
        }
        command = [sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "tests.support.contract", "--tb=no"]
        command += ["-p", "no:cacheprovider", *(["-k", only] if only else []), *(ASGI if interface == "asgi" else WSGI)]
        try:
            subprocess.run(command, cwd=ROOT, env=surroundings, stdout=subprocess.DEVNULL, check=False, timeout=seconds)
        except subprocess.TimeoutExpired:
            print(f"{peer} {interface}: not done after {seconds:.0f} s; the page has what there is", file=sys.stderr)
        found: Outcomes = defaultdict(dict)
        for line in results.read_text().splitlines():
            node, outcome = json.loads(line)
            framework, way, name = parts_of(node)
            found[framework, way][name] = outcome
        return dict(found)


def parts_of(node: str) -> tuple[str, str, str]:
    """A test's framework, the way in which it was run, and its name in words."""
    file, _, test = node.rpartition("/")[2].partition("::")
    name, _, parameters = test.removesuffix("]").partition("[")
    mine = parameters.split("-")
    framework = next((one for one in mine if one in FRAMEWORKS), mine[0])
    kind = "WSGI" if "wsgi" in file else "WebSocket" if "websocket" in file else "ASGI"
    loop = next((one for one in mine if one in ("asyncio", "uvloop")), "")
    spec = ", 2.3" if "2.3" in mine else ""
    rest = [one for one in mine if one not in (framework, loop, "2.3", "2.4")]
    words = name.removeprefix("test_").replace("_", " ") + (f" ({', '.join(rest)})" if rest else "")
    return framework, f"{kind}{', ' + loop if loop else ''}{spec}", words


# --- the page


def page(found: dict[str, Outcomes], versions: dict[str, str]) -> str:
    """The table, and below it what each server fails."""
    peers = list(found)
    heads = [" ".join([peer, *([versions[peer]] if peer in versions else [])]) for peer in peers]
    rows = sorted({row for outcomes in found.values() for row in outcomes}, key=lambda row: (row[1], row[0]))
    lines = [
        "# Compatibility",
        "",
        "What each server does with the same applications, by the same tests: those of `tests/e2e/hosting`, over raw",
        "sockets. A cell says how many tests of the contract hold, of how many that were run; `-` where the server",
        "does not offer the interface or was not run. One worker, defaults otherwise. This page is written by",
        "`python -m benchmarks.compatibility`.",
        "",
        "A failure is not always a fault: the contract is ours, and some of its lines are choices that the",
        "specifications leave open. That a connection stays open after a 500, that an answer whose application gave no",
        "length has one, that a WebSocket whose client has gone is 1006, that `send()` raises then (version 2.4 of the",
        "specification; a server of 2.3 tells it by `receive()`, and Starlette then does not stream both ways), and",
        "that a call which does not ask is cancelled, are such.",
        "",
        f"| framework | run as | {' | '.join(heads)} |",
        f"|---|---|{'---|' * len(peers)}",
    ]
    for framework, way in rows:
        cells = [_cell(found[peer].get((framework, way))) for peer in peers]
        lines.append(f"| {framework} | {way} | {' | '.join(cells)} |")
    for peer in peers:
        failed: dict[str, list[str]] = defaultdict(list)
        for (framework, way), outcomes in found[peer].items():
            for name, outcome in outcomes.items():
                if outcome == "failed":
                    failed[name].append(f"{framework} ({way})")
        lines += ["", f"## What {peer} fails", ""]
        lines += [f"- {name}: {', '.join(sorted(where))}" for name, where in sorted(failed.items())] or ["Nothing."]
    return "\n".join(lines) + "\n"


def _cell(outcomes: dict[str, str] | None) -> str:
    ran = [one for one in (outcomes or {}).values() if one != "skipped"]
    return f"{ran.count('passed')} of {len(ran)}" if ran else "-"


def _versions(python: str) -> dict[str, str]:
    names = sorted({peer for peer, _ in COMMANDS})
    code = f"import importlib.metadata as m, json\nf = {{}}\nfor n in {names!r}:\n"
    code += "  try: f[n] = m.version(n)\n  except Exception: pass\nprint(json.dumps(f))"
    found: dict[str, str] = json.loads(subprocess.run([python, "-c", code], capture_output=True, check=True).stdout)
    return found


def main(arguments: list[str] | None = None) -> int:
    """Run the contract, and write the page."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.compatibility", description=__doc__)
    parser.add_argument("--python", default=sys.executable, help="an interpreter with the peers and the frameworks")
    parser.add_argument("--peers", default=f"{OURS},uvicorn,hypercorn,gunicorn,granian", metavar="A,B")
    parser.add_argument("--only", default="", metavar="EXPRESSION", help="as pytest's -k")
    parser.add_argument("--parallel", type=int, default=1, metavar="N", help="servers that are run at once")
    parser.add_argument("--seconds", type=float, default=900.0, help="for each server and interface, at most")
    parser.add_argument("--output", type=Path, default=PAGE)
    options = parser.parse_args(arguments)
    versions = _versions(options.python)
    found: dict[str, Outcomes] = {}
    for peer in options.peers.split(","):
        if peer != OURS and peer not in versions:
            print(f"{peer} is not installed for {options.python}: python -m pip install {peer}", file=sys.stderr)
            continue
        found[peer] = {}
    todo = [(peer, face) for face in ("asgi", "wsgi") for peer in found if peer == OURS or (peer, face) in COMMANDS]
    with ThreadPoolExecutor(options.parallel) as pool:
        done = pool.map(lambda one: run(one[0], one[1], options.python, options.only, options.seconds), todo)
        for (peer, _), outcomes in zip(todo, done, strict=True):
            found[peer] |= outcomes
    options.output.write_text(page(found, versions))
    print(f"written: {options.output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
