"""hypercorn's settings, as the Python file that its `-c` takes: not all of them are options of its command line."""

accesslog = None
backlog = 4096
keep_alive_max_requests = 1_000_000_000
keep_alive_timeout = 3600
loglevel = "error"
worker_class = "uvloop"
workers = 0
"""Serve in the process that was started, without a supervising parent."""
