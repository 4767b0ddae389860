"""The front page says what is here and needs nothing from elsewhere."""

import re

import pytest

from clerestory.handlers.mail.page import page
from tests.handlers.pages import Page


def test_its_examples_are_for_the_host_that_was_asked() -> None:
    text = page("a.example:8080")
    assert "curl http://a.example:8080/emails/42" in text
    assert "localhost" not in text
    assert "curl http://localhost:8000/emails/42" in page("")


@pytest.mark.parametrize("path", ["/emails", "/emails/42", "/inboxes/", "/echo"])
def test_it_names_every_path(path: str) -> None:
    assert path in Page(page("")).text


def test_it_says_where_the_messages_are() -> None:
    assert "A thousand sample messages are kept in memory." in page("")
    assert "The messages are kept in <mail>.db." in Page(page("", "<mail>.db")).text


def test_what_it_is_given_is_escaped() -> None:
    for text in (page('"><script>'), page("", '"><script>')):
        assert "script" not in Page(text).tags


def test_it_needs_nothing_from_elsewhere_and_has_both_colour_schemes() -> None:
    text = page("")
    assert not re.search(r"src=|url\(|@import|<link|<script|href=.https?:", text)
    assert "prefers-color-scheme: dark" in text
    assert '<meta name="color-scheme" content="light dark">' in text
    assert "$" not in text


def test_its_links_lead_to_what_is_here() -> None:
    assert {href for href, _ in Page(page("")).links} == {"emails", "emails/42", "inboxes/ada", "inboxes/tiny"}
