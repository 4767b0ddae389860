"""The servers of the suite `hosting`: each application under ours, uvicorn and granian, or gunicorn and waitress.

The settings are those of the catalogue: one process, no access log, uvloop and httptools.
"""

from dataclasses import replace

from benchmarks.catalogue import BY_NAME, COMPILED, GRANIAN, GRANIAN_FIXED, UVICORN, WSGI, Entry, ours, peer
from benchmarks.plot import Kind

APP = "benchmarks.peers.hosting:app"
FRAMEWORKS = "benchmarks.peers.frameworks"
OURS, PLAIN, UVICORN_NAME, GRANIAN_NAME = "Clerestory compiled", "Clerestory", "uvicorn", "granian"
GTHREAD, WAITRESS = "gunicorn gthread", "waitress"
OPTIONS = ("--parser", "httptools", "--no-access-log", "--max-body", "8M")
UVICORN_WORDS = ("--no-access-log", "--log-level", "error", "--http", "httptools", "--loop", "uvloop")
GRANIAN_WORDS = tuple(word for word in GRANIAN_FIXED if word != "--no-ws")


def ours_with(target: str, *options: str, xray: bool = False) -> tuple[Entry, Entry]:
    """Ours, compiled and plain."""
    words = (*OPTIONS, *options, *(() if xray else ("--no-xray",)))
    made = Entry(PLAIN, ours(*words, target=target), Kind.OURS, settings="plain Python; history and histograms on")
    compiled = replace(made, name=OURS, build=COMPILED, settings="the hot path compiled to C, as released")
    return compiled, made


def asgi(target: str, *needs: str) -> list[Entry]:
    """Every server of ASGI applications, with this one. `needs` is what the application needs."""
    return [
        *ours_with(target, "--interface", "asgi"),
        Entry(
            UVICORN_NAME,
            peer("uvicorn", target, *UVICORN_WORDS, bind=UVICORN),
            needs=("uvicorn", "uvloop", "httptools", "websockets", *needs),
            settings="uvloop, httptools, websockets",
        ),
        Entry(
            GRANIAN_NAME,
            peer("granian", target, "--interface", "asgi", "--loop", "uvloop", *GRANIAN_WORDS, bind=GRANIAN),
            needs=("granian", "uvloop", *needs),
            settings="Rust; one worker, one runtime thread, uvloop",
        ),
    ]


def wsgi() -> list[Entry]:
    """Every server of WSGI applications."""
    return [
        *ours_with(WSGI, "--interface", "wsgi"),
        BY_NAME[GTHREAD],
        BY_NAME[WAITRESS],
        replace(BY_NAME["granian WSGI"], name=GRANIAN_NAME),
    ]
