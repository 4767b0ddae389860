"""The WSGI application on cheroot. Run: `python -m benchmarks.peers.cheroot_server PORT`.

Not by cheroot's own command line, which leaves it at ten connections kept alive and has no option for more.
"""

import sys

from cheroot import wsgi  # type: ignore[import-not-found]

from benchmarks.peers.wsgi import app

THREADS = 8

if __name__ == "__main__":
    server = wsgi.Server(
        ("127.0.0.1", int(sys.argv[1])),
        app,
        numthreads=THREADS,
        max=THREADS,
        request_queue_size=4096,
        timeout=3600,
        shutdown_timeout=1,
    )
    server.keep_alive_conn_limit = 20_000
    server.safe_start()
