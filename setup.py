"""The build; pyproject.toml says all of it but this: with CLERESTORY_COMPILE=1 the hot path is compiled to C.

    CLERESTORY_COMPILE=1 pip install 'clerestory[standard]'

The compiler is mypyc, which comes with mypy: it takes the sources as they are, types included, so that there is one
program and not two. What is compiled is what a request passes on its way from socket to socket; the tables, the
handlers' operations and everything that is looked at once stay as they are. Without the variable, and where there is no
C compiler, nothing is compiled and nothing else changes.
"""

import os
import sys

from setuptools import Extension, setup

HOT = (
    "handlers/backends/postgres_pool.py",
    "handlers/backends/postgres_query.py",
    "handlers/backends/postgres_session.py",
    "handlers/backends/slot.py",
    "handlers/backends/sqlite.py",
    "handlers/backends/threads.py",
    "handlers/backends/upstream.py",
    "handlers/backends/upstream_call.py",
    "handlers/backends/upstream_connection.py",
    "handlers/backends/upstream_framing.py",
    "handlers/backends/upstream_gate.py",
    "handlers/backends/upstream_pool.py",
    "handlers/backends/upstream_receiver.py",
    "handlers/backends/upstream_request.py",
    "handlers/backends/upstream_tunnel.py",
    "handlers/backends/work.py",
    "handlers/chunks.py",
    "handlers/forwarding.py",
    "handlers/messages.py",
    "handlers/operations.py",
    "handlers/proxy.py",
    "handlers/router.py",
    "handlers/static.py",
    "handlers/static_conditions.py",
    "handlers/static_known.py",
    "handlers/static_paths.py",
    "handlers/static_ranges.py",
    "handlers/static_variants.py",
    "handlers/tunnel.py",
    "server/connection.py",
    "server/exchange.py",
    "server/http/framing.py",
    "server/http/gate.py",
    "server/http/httptools_codec.py",
    "server/http/reading.py",
    "server/http/responses.py",
    "server/http/scanner.py",
    "server/log_events.py",
    "server/log_writer.py",
    "server/loop.py",
    "server/sender.py",
    "server/service.py",
    "server/telling.py",
    "server/transport.py",
    "server/tunnel.py",
    "statemachines/engine.py",
)
COMPILING = os.environ.get("CLERESTORY_COMPILE") == "1"
COMPILER = ["mypy>=1.14", "h11>=0.16", "httptools>=0.6.4", "psycopg>=3.2", "structlog>=24.1", "transitions>=0.9.2"]
"""mypyc, and what the sources import, for their types."""


def extensions() -> list[Extension]:
    """The compiled modules; none where they are not asked for, or while pip only asks what is needed and what it is."""
    if not COMPILING or not {"egg_info", "dist_info", "sdist"}.isdisjoint(sys.argv):
        return []
    from mypyc.build import mypycify

    return mypycify(list(HOT), opt_level="2", debug_level="0")


setup(ext_modules=extensions(), setup_requires=COMPILER if COMPILING else [])
