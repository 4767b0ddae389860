"""Metrics of several processes as those of one."""

import json

import pytest

from clerestory.server.xray.exports.metrics import metrics
from clerestory.server.xray.workers.exposition import counters, from_counters, read, summed, write
from tests.server.support import bench_of, hello
from tests.server.xray.support import cut_of, watch_of

PAGE = """\
# HELP clerestory_requests_total Answers begun.
# TYPE clerestory_requests_total counter
clerestory_requests_total{class="2xx"} 3
clerestory_requests_total{class="5xx"} 0
# HELP clerestory_connections Open connections.
# TYPE clerestory_connections gauge
clerestory_connections{state="AWAITING REQUEST"} 2
# HELP clerestory_uptime_seconds Since the start.
# TYPE clerestory_uptime_seconds gauge
clerestory_uptime_seconds 10.5
# HELP clerestory_draining 1 while it drains.
# TYPE clerestory_draining gauge
clerestory_draining 1
# HELP clerestory_dwell_seconds Stays.
# TYPE clerestory_dwell_seconds histogram
clerestory_dwell_seconds_bucket{le="+Inf"} 4
clerestory_dwell_seconds_sum 0.25
clerestory_dwell_seconds_count 4
"""

OTHER = PAGE.replace("} 3", "} 4").replace("10.5", "3").replace("draining 1", "draining 0").replace("0.25", "0.5")


def test_an_exposition_is_read_and_written_as_it_was() -> None:
    assert write(read(PAGE)) == PAGE


def test_ours_is_read_and_written_as_it_was() -> None:
    with bench_of(hello) as bench:
        page = metrics(watch_of(bench), cut_of(bench))
    assert write(read(page)) == page


def test_counts_are_added_up_and_of_some_gauges_one_is_told() -> None:
    lines = write(summed([read(PAGE), read(OTHER)])).splitlines()
    assert 'clerestory_requests_total{class="2xx"} 7' in lines
    assert 'clerestory_connections{state="AWAITING REQUEST"} 4' in lines
    assert "clerestory_uptime_seconds 10.5" in lines
    assert "clerestory_draining 0" in lines
    assert "clerestory_dwell_seconds_sum 0.75" in lines
    assert 'clerestory_dwell_seconds_bucket{le="+Inf"} 8' in lines


def test_what_only_grows_is_kept_as_json() -> None:
    kept = json.loads(json.dumps(counters(read(PAGE))))
    assert list(kept) == ["clerestory_requests_total", "clerestory_dwell_seconds"]
    assert kept["clerestory_requests_total"][2] == {'clerestory_requests_total{class="2xx"}': 3}
    total = summed([read(PAGE), from_counters(kept)])
    assert total["clerestory_requests_total"].samples['clerestory_requests_total{class="2xx"}'] == 6
    assert total["clerestory_connections"].samples == read(PAGE)["clerestory_connections"].samples


@pytest.mark.parametrize("wrong", [{"a": 1}, {"a": ["counter", "", []]}, {"a": ["counter", "", {"a": "b"}]}])
def test_what_is_no_such_json_is_refused(wrong: dict[str, list[object]]) -> None:
    with pytest.raises((ValueError, TypeError)):
        from_counters(wrong)
