"""An upstream that goes, and comes back: the log, the banners, the table, the metrics and readiness say so."""

import os
import re
import subprocess
import sys
from urllib.error import HTTPError

from tests.support.client import Client
from tests.support.server import ROOT, TOKEN, ServerProcess
from tests.support.waiting import eventually
from tests.support.xray import address_of, read


def ps(proxy: ServerProcess) -> str:
    """What `clerestory ps` prints, on both streams."""
    environment = dict(os.environ, CLERESTORY_TOKEN=TOKEN, PYTHONPATH=str(ROOT))
    done = subprocess.run(
        [sys.executable, "-m", "clerestory", "ps", "--xray", address_of(proxy)],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=60,
        check=False,
    )
    return done.stdout.decode()


def readiness(proxy: ServerProcess) -> int:
    """The status of /readyz."""
    try:
        read(proxy, "readyz")
    except HTTPError as refused:
        refused.close()
        return refused.code
    return 200


def url(upstream: ServerProcess) -> str:
    host, port = upstream.address
    return f"{host}:{port}"


def ask(proxy: ServerProcess, times: int) -> list[int]:
    with Client(proxy.address) as client:
        return [client.get("/hello").status for _ in range(times)]


def test_an_upstream_that_is_killed_and_comes_back_is_told_everywhere(choices: list[str]) -> None:
    first, second = ServerProcess(*choices, "--no-xray"), ServerProcess(*choices, "--no-xray")
    proxy = ServerProcess(
        *choices,
        "--xray",
        "127.0.0.1:0",
        "--upstream",
        f"http://{url(second)}",
        target=f"http://{url(first)}",
    )
    try:
        assert set(ask(proxy, 6)) == {200}
        assert readiness(proxy) == 200
        proxy.wait_for("request", count=6)
        assert {line["upstream"] for line in proxy.events("request")} == {url(first), url(second)}
        listed = ps(proxy)
        assert re.search(rf"{url(first)} +UP +\d+ +0 +\d+ +0 +[\d.]+ ms +[\d.]+ ms +-", listed), listed
        first.kill()
        first.wait()

        def gone() -> bool:
            assert set(ask(proxy, 4)) == {200}, "the other one has the requests"
            return bool(proxy.events("upstream_down"))

        eventually(gone, what="the event upstream_down")
        (event,) = proxy.events("upstream_down")
        assert event["upstream"] == url(first)
        listed = ps(proxy)
        assert re.search(rf"WARNING: Upstream {url(first)} has been down for [\d.]+ s: \w+\. The other 1 has", listed)
        assert re.search(rf"{url(first)} +(DOWN|TRYING) .* ago\n", listed), listed
        assert readiness(proxy) == 200
        metrics = read(proxy, "metrics")
        assert f'clerestory_upstream_up{{upstream="{url(first)}"}} 0' in metrics
        assert f'clerestory_upstream_up{{upstream="{url(second)}"}} 1' in metrics
        assert f'clerestory_upstream_requests_total{{upstream="{url(first)}",result="failed"}} ' in metrics
        second.kill()
        second.wait()
        eventually(lambda: 200 not in ask(proxy, 4) and readiness(proxy) == 503, what="a server that is not ready")
        assert "CRITICAL: No upstream is up: " in ps(proxy)
        eventually(lambda: readiness(proxy) == 200, what="that a request is let through, to find out")
    finally:
        for one in (first, second, proxy):
            if one.running:
                one.kill()
            one.wait()
