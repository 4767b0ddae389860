"""The layers add up to the whole, and each that is measured alone does what the server does."""

from pathlib import Path

import pytest

from benchmarks.load import Fields
from benchmarks.suites import layers
from benchmarks.suites.layers import FLOOR, LAYERS, LOGGING, REST, TOTAL, WHOLE
from benchmarks.summary import spread

PARTS = {
    "json": 1.5,
    layers.HANDLER: 2.0,
    layers.ANSWER: 1.0,
    layers.BARE: 0.4,
    "transitions": 1.1,
    f"{layers.HEAD}, repeated": 1.0,
    f"{layers.HEAD}, varying": 5.0,
}
TOTALS = {
    (name, kind): spread([cost, cost * 1.5, cost])
    for name, cost in ((FLOOR, 10.0), (WHOLE, 20.0), (LOGGING, 35.0))
    for kind in Fields
}


def test_layers_add_up_to_the_whole() -> None:
    parts = {name: spread([value]) for name, value in PARTS.items()}
    for kind in Fields:
        found = layers.layers(parts, TOTALS, kind)
        assert sum(found[name] for name in LAYERS) == pytest.approx(found[TOTAL]) == 20.0
    assert layers.layers(parts, TOTALS, Fields.REPEATED)[REST] == pytest.approx(20 - 8.5 - 1 - 2 - 1 - 1.1)


def test_the_page_has_every_layer_and_the_log() -> None:
    report = layers.make_report({name: spread([value]) for name, value in PARTS.items()}, TOTALS)
    rows = report.tables[0].rows
    assert [row[0] for row in rows] == [*LAYERS, TOTAL, layers.LOG]
    assert list(rows[-1][1:3]) == ["15.0", "75"]
    assert "layers" in report.plots


def test_without_the_server_there_is_no_table() -> None:
    assert layers.make_report({}, {}).tables == []


def test_each_layer_can_be_measured_alone(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layers, "PASSES", 20)
    assert set(layers.alone()) == set(PARTS)
    assert all(measure() > -1000 for measure in layers.alone().values())
