"""The build; pyproject.toml says all of it but this: which modules are compiled to C.

    pip install .                           # compiled, where there is a C compiler
    CLERESTORY_COMPILE=0 pip install .      # not compiled
    CLERESTORY_COMPILE=1 pip install -e .   # an editable installation is compiled only if it is asked for

The compiler is mypyc, which comes with mypy: it takes the sources as they are, types included, so that there is one
program and not two. What is compiled is what a request passes on its way from socket to socket; the tables, the
handlers' operations and everything that is looked at once stay as they are. shim/backend.py decides.
"""

import os
import sys

from setuptools import Extension, setup

HOT = (
    "clerestory/handlers/asgi/answering.py",
    "clerestory/handlers/asgi/application.py",
    "clerestory/handlers/asgi/events.py",
    "clerestory/handlers/asgi/extensions.py",
    "clerestory/handlers/asgi/hosting.py",
    "clerestory/handlers/asgi/outcomes.py",
    "clerestory/handlers/asgi/pieces.py",
    "clerestory/handlers/asgi/run.py",
    "clerestory/handlers/asgi/scope.py",
    "clerestory/handlers/backends/postgres/pool.py",
    "clerestory/handlers/backends/postgres/query.py",
    "clerestory/handlers/backends/postgres/session.py",
    "clerestory/handlers/backends/pool/slot.py",
    "clerestory/handlers/backends/sqlite.py",
    "clerestory/handlers/backends/threads/job.py",
    "clerestory/handlers/backends/threads/threads.py",
    "clerestory/handlers/backends/upstream/upstream.py",
    "clerestory/handlers/backends/upstream/attempts.py",
    "clerestory/handlers/backends/upstream/call.py",
    "clerestory/handlers/backends/upstream/connection.py",
    "clerestory/handlers/backends/upstream/errors.py",
    "clerestory/handlers/backends/upstream/framing.py",
    "clerestory/handlers/backends/upstream/gate.py",
    "clerestory/handlers/backends/upstream/look.py",
    "clerestory/handlers/backends/upstream/origins.py",
    "clerestory/handlers/backends/upstream/pool.py",
    "clerestory/handlers/backends/upstream/receiver.py",
    "clerestory/handlers/backends/upstream/request.py",
    "clerestory/handlers/backends/upstream/sender.py",
    "clerestory/handlers/backends/upstream/step.py",
    "clerestory/handlers/backends/upstream/tunnel.py",
    "clerestory/handlers/backends/threads/work.py",
    "clerestory/handlers/wire/chunks.py",
    "clerestory/handlers/wsgi/answering.py",
    "clerestory/handlers/wsgi/application.py",
    "clerestory/handlers/wsgi/call.py",
    "clerestory/handlers/wsgi/environ.py",
    "clerestory/handlers/wsgi/giving.py",
    "clerestory/handlers/wsgi/heads.py",
    "clerestory/handlers/wsgi/hosting.py",
    "clerestory/handlers/wsgi/invocation.py",
    "clerestory/handlers/wsgi/streams.py",
    "clerestory/handlers/proxy/forwarding.py",
    "clerestory/handlers/api/messages.py",
    "clerestory/handlers/api/operations.py",
    "clerestory/handlers/api/templates.py",
    "clerestory/handlers/api/upgrade.py",
    "clerestory/handlers/proxy/proxy.py",
    "clerestory/handlers/router.py",
    "clerestory/handlers/static/files.py",
    "clerestory/handlers/static/conditions.py",
    "clerestory/handlers/static/known.py",
    "clerestory/handlers/static/paths.py",
    "clerestory/handlers/static/ranges.py",
    "clerestory/handlers/static/variants.py",
    "clerestory/handlers/proxy/tunnel.py",
    "clerestory/server/loop/nested.py",
    "clerestory/server/connection/channel.py",
    "clerestory/server/connection/connection.py",
    "clerestory/server/connection/exchange.py",
    "clerestory/server/connection/farewell.py",
    "clerestory/server/connection/faults.py",
    "clerestory/server/connection/feeding.py",
    "clerestory/server/connection/handshake.py",
    "clerestory/server/connection/holding.py",
    "clerestory/server/connection/names.py",
    "clerestory/server/http/framing.py",
    "clerestory/server/http/gate.py",
    "clerestory/server/http/httptools_codec.py",
    "clerestory/server/http/reading.py",
    "clerestory/server/http/responses.py",
    "clerestory/server/http/scanner.py",
    "clerestory/server/logging/events.py",
    "clerestory/server/logging/writer.py",
    "clerestory/server/loop/base.py",
    "clerestory/server/loop/loop.py",
    "clerestory/server/loop/messages.py",
    "clerestory/server/connection/deadlines.py",
    "clerestory/server/connection/sender.py",
    "clerestory/server/connection/service.py",
    "clerestory/server/connection/stream.py",
    "clerestory/server/loop/sweep.py",
    "clerestory/server/connection/telling.py",
    "clerestory/handlers/wire/transport.py",
    "clerestory/server/connection/tunnel.py",
    "clerestory/server/loop/wakeup.py",
    "clerestory/statemachines/engine.py",
)
COMPILING = os.environ.get("CLERESTORY_COMPILE") == "1"
COMPILER = ["mypy>=1.14", "h11>=0.16", "httptools>=0.6.4", "psycopg>=3.2", "structlog>=24.1", "transitions>=0.9.2"]
"""mypyc, and what the sources import, for their types."""


ROOMS = ("diagrams", "handlers", "server", "statemachines")
"""The folders that are imported as `clerestory.*`."""


def link_rooms() -> None:
    """Make the links in clerestory/ through which the compiler sees one package. A source distribution has none."""
    for room in ROOMS:
        link = os.path.join("clerestory", room)
        if not os.path.lexists(link):
            os.symlink(os.path.join("..", room), link)


def extensions() -> list[Extension]:
    """The compiled modules; none where they are not asked for, or while pip only asks what is needed and what it is."""
    if not COMPILING or not {"egg_info", "dist_info", "sdist"}.isdisjoint(sys.argv):
        return []
    link_rooms()
    from mypyc.build import mypycify

    return mypycify(list(HOT), opt_level=os.environ.get("MYPYC_OPT_LEVEL", "2"), debug_level="0")


setup(ext_modules=extensions(), setup_requires=COMPILER if COMPILING else [])
