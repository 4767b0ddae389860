"""The reverse proxies that are measured: how each is started before an upstream, with the settings best for it.

Each keeps up to 64 connections to the upstream and uses them again, says who the client is in X-Forwarded-For, and has
neither logs nor a cache. The upstream is nginx, which answers by `return` and by sendfile.
"""

from collections.abc import Callable
from pathlib import Path

from benchmarks import catalogue, machine
from benchmarks.catalogue import COMPILED, Entry, Place, filled, ours, peer
from benchmarks.plot import Kind

OURS, COMPILED_OURS, NGINX, HAPROXY = "Clerestory", "Clerestory compiled", "nginx", "HAProxy"
STARLETTE, AIOHTTP = "Starlette + httpx", "aiohttp"
PYTHON = (STARLETTE, AIOHTTP)

UPSTREAM = catalogue.BY_NAME["nginx"]
"""What is asked. It runs on the load's CPU."""


def entries(upstream: int) -> tuple[Entry, ...]:
    """The proxies of what listens on the port `upstream`."""
    url = f"http://127.0.0.1:{upstream}"
    workloads = frozenset({"constant"})
    told = {"BENCHMARK_UPSTREAM": url}
    return (
        Entry(
            OURS,
            ours("--parser", "httptools", "--no-access-log", "--no-xray", target=url),
            Kind.OURS,
            workloads=workloads,
            settings="history and histograms on; every answer through the strict gate",
        ),
        Entry(
            COMPILED_OURS,
            ours("--parser", "httptools", "--no-access-log", "--no-xray", target=url),
            Kind.OURS,
            workloads=workloads,
            settings="the same sources, what a request passes compiled to C by mypyc",
            build=COMPILED,
        ),
        Entry(
            NGINX,
            _nginx(upstream),
            Kind.REFERENCE,
            tool="nginx",
            install="nginx (Debian: apt-get install nginx-light)",
            workloads=workloads,
            settings="one process, `keepalive 64`",
        ),
        Entry(
            HAPROXY,
            _haproxy(upstream),
            Kind.REFERENCE,
            tool="haproxy",
            install="haproxy (Debian: apt-get install haproxy)",
            workloads=workloads,
            settings="one thread, `http-reuse always`",
        ),
        Entry(
            AIOHTTP,
            peer("benchmarks.peers.aiohttp_proxy", bind="{port}"),
            needs=("aiohttp", "uvloop"),
            workloads=workloads,
            settings="server and client, uvloop",
            environment=told,
        ),
        Entry(
            STARLETTE,
            peer(
                *("uvicorn", "benchmarks.peers.starlette_proxy:app", "--no-access-log", "--log-level", "error"),
                *("--lifespan", "off", "--http", "httptools", "--loop", "uvloop", "--ws", "none"),
                bind=catalogue.UVICORN,
            ),
            needs=("uvicorn", "uvloop", "httptools", "starlette", "httpx"),
            workloads=workloads,
            settings="uvicorn, uvloop, httptools",
            environment=told,
        ),
    )


def _nginx(upstream: int) -> Callable[[Place], list[str]]:
    def command(place: Place) -> list[str]:
        directory = filled(place, "nginx-proxy.conf", upstream=upstream)
        executable = machine.tool("nginx") or "nginx"
        return [executable, "-p", str(directory), "-e", "stderr", "-c", str(directory / "nginx-proxy.conf")]

    return command


def _haproxy(upstream: int) -> Callable[[Place], list[str]]:
    def command(place: Place) -> list[str]:
        directory: Path = filled(place, "haproxy.cfg", upstream=upstream)
        return [machine.tool("haproxy") or "haproxy", "-db", "-f", str(directory / "haproxy.cfg")]

    return command
