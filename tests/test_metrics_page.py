"""docs/metrics.md lists the metrics that servers have, with their types, labels and descriptions: of a server alone, of
a reverse proxy, and of workers."""

import re
import urllib.request
from pathlib import Path

import pytest

from tests.support.server import TOKEN, ServerProcess, serving
from tests.support.waiting import eventually

PAGE = Path("docs/metrics.md")
Row = tuple[str, str, str, str]


def page_of(server: ServerProcess) -> str:
    url = server.wait_for("xray")["url"]
    request = urllib.request.Request(f"{url.rstrip('/')}/metrics", headers={"authorization": f"Bearer {TOKEN}"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        text: str = answer.read().decode()
    return text


def rows_of(text: str) -> set[Row]:
    """Name, type, labels and description of each metric of an exposition."""
    found = set()
    for name, told, kind in re.findall(r"^# HELP (\S+) (.*)\n# TYPE \S+ (\w+)$", text, re.MULTILINE):
        samples = re.findall(rf"^{name}(?:_bucket)?\{{(.*)\}} ", text, re.MULTILINE)
        labels = {label for sample in samples for label in re.findall(r'(\w+)="', sample)} - {"le"}
        found.add((name, kind, ", ".join(sorted(labels)), told))
    return found


def merged(rows: set[Row]) -> list[Row]:
    """One row for each metric: the one that has the most labels, since where there is nothing there are none."""
    best: dict[str, Row] = {}
    for row in sorted(rows, key=lambda row: len(row[2])):
        best[row[0]] = row
    return sorted(best.values())


@pytest.mark.timeout(240)
def test_the_page_lists_the_metrics_that_there_are() -> None:
    with serving(target="") as alone, serving(target=alone.url.rstrip("/")) as proxy:
        urllib.request.urlopen(proxy.url, timeout=30).read()
        eventually(lambda: "clerestory_ends_total{" in page_of(proxy), what="its connection has ended")
        rows = rows_of(page_of(alone)) | rows_of(page_of(proxy))
    with serving("--workers", "2", target="") as several:
        eventually(lambda: "clerestory_worker_up" in page_of(several), what="the workers are asked")
        rows |= rows_of(page_of(several))
    wanted = [f"| `{name}` | {kind} | {labels} | {told} |" for name, kind, labels, told in merged(rows)]
    listed = [line for line in PAGE.read_text().splitlines() if line.startswith("| `")]
    assert listed == wanted
