"""The applications of the peers: each does the work of `benchmarks.work` in its server's own way, and nothing more."""
