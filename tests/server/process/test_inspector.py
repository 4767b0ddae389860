"""A process that nobody inspects shows nothing, and serves all the same."""

from typing import Any, cast

from clerestory.server.observer import Unobserved
from clerestory.server.options import Options
from clerestory.server.process.inspector import Uninspected
from tests.server.support import bench_of, hello


def test_nobody_observes_shows_or_dumps() -> None:
    with bench_of(hello) as bench:
        nobody = Uninspected()
        assert isinstance(nobody.observer, Unobserved)
        assert nobody.open(bench.service, Options(xray="127.0.0.1:0"), cast("Any", bench.logs)) is None
        nobody.open_behind(3, bench.service, Options(), cast("Any", bench.logs))
        nobody.oversee(bench.service, Options(xray="127.0.0.1:0"), cast("Any", bench.logs))
        assert nobody.dump(bench.service) == {}
