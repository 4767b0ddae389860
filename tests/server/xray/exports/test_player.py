"""The page with recordings in it: one file, which asks for nothing, and whose data cannot leave their place."""

import json
import re

from clerestory.server.xray.exports.player import player
from clerestory.statemachines.tables import TABLES
from tests.server.xray.exports.test_replay import recorded


def test_all_that_the_page_needs_is_in_it() -> None:
    page = player([recorded()], "one.json")
    assert re.findall(r'(?:src|href)="(?!data:|#)[^"]*"', page) == []
    found = re.search(r'<script type="importmap">(.*?)</script>', page)
    assert found is not None
    imports = json.loads(found[1])["imports"]
    assert "clerestory/play.js" in imports
    assert "clerestory/diagram.js" in imports
    assert all(address.startswith("data:text/javascript;base64,") for address in imports.values())
    assert "default-src 'none'" in page


def test_what_a_recording_says_cannot_end_its_element() -> None:
    one = recorded() | {"request": "GET /</script><script>alert(1)</script>"}
    page = player([one], "</title>")
    found = re.search(r'id="given">(.*?)</script>', page)
    assert found is not None
    given = json.loads(found[1])
    assert given["recordings"] == [one]
    assert given["title"] == "</title>"
    assert [machine["name"] for machine in given["machines"]] == list(TABLES)
