"""What goes into the log when somebody sends SIGUSR1, or a machine crashes: one event, with the histories. Pure.

It is made on the loop's own thread, with nothing that the x-ray's thread needs: it works without an x-ray, and when
there are no descriptors left.
"""

from typing import Any

from clerestory.server.logging.history import history_lines
from clerestory.server.xray.exports.exports import headline
from clerestory.server.xray.observe.banners import Bounds, banners, longest
from clerestory.server.xray.observe.cut import Cut
from clerestory.server.xray.observe.recorder import Recorder
from clerestory.server.xray.observe.snapshot import counts, row

SLOWEST = 50
"""Connections listed, those longest in their state first; the counts are of all."""

HISTORIES = 10
"""Of which so many with their history."""

ENDED = 20
"""Abnormal ends listed, the latest first."""


def dump(cut: Cut, recorder: Recorder, bounds: Bounds) -> dict[str, Any]:
    """The fields of the event `xray_dump`."""
    held = longest(cut, SLOWEST)
    return {
        "banners": [banner.text for banner in banners(cut, bounds, recorder.missed.recent(cut.now))],
        "states": {
            kind: {str(state): count for state, count in states.items() if count}
            for kind, states in counts(cut).items()
        },
        "connections": [f"{one.id}: {one.why}" for one in (row(seen, cut.now) for seen in held)],
        "histories": {row(seen, cut.now).id: history_lines(seen[0].history) for seen in held[:HISTORIES]},
        "ended": [headline(one) for one in recorder.ended_badly()[:ENDED]],
    }
