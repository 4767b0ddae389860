"""The page of the API: every public name is there, and says what it is."""

import re

import clerestory
from manual import api


def test_every_public_name_and_member_is_described() -> None:
    parts = re.split(r"^##+ ", api.page(), flags=re.MULTILINE)[1:]
    titles = [part.partition("\n")[0] for part in parts]
    assert set(clerestory.__all__) <= set(titles)
    undescribed = [title for title, part in zip(titles, parts, strict=True) if not part.rpartition("```")[2].strip()]
    assert undescribed == []


def test_signatures_are_as_they_are_written() -> None:
    page = api.page()
    assert "\nsleep(seconds: float) -> Sleep\n" in page
    assert "\nasync WebSocket.close(code: int = 1000, reason: str = '') -> None\n" in page
    assert "Router.get(path: str, max_body: int | None = None, **terms: Unpack[Terms]) -> Callable[[H], H]" in page
    assert "clerestory.handlers" not in page


def test_what_is_internal_is_not_a_member() -> None:
    members = [name for name, _ in api.members_of(clerestory.WebSocket)]
    assert members == ["accept", "close", "closed", "offered", "receive", "receive_json", "send"]
