"""What both databases share: the refusals, in the same words, and the face that the site is given."""

import inspect

import pytest

from clerestory.handlers.mail.postgres import PostgresMail
from clerestory.handlers.mail.sqlite import SQLiteMail
from clerestory.handlers.mail.store import (
    MAX_EMAILS,
    FieldError,
    MailStore,
    inbox_is_full,
    is_there_already,
    listed,
    no_email,
    no_inbox,
    too_many_emails,
)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (no_email(7, "id"), (404, "id", "There is no email 7.")),
        (no_inbox("ada"), (404, "recipient", "There is no inbox for ada.")),
        (is_there_already("ada", 7), (409, "email_id", "Email 7 is already in the inbox of ada.")),
        (inbox_is_full("tiny", 3), (507, "recipient", "The inbox of tiny is full: it has room for 3 emails.")),
        (too_many_emails(), (507, None, "There are 100,000 emails already.")),
    ],
)
def test_a_refusal_names_the_field(error: FieldError, expected: tuple[int, str | None, str]) -> None:
    assert (error.status, error.field, error.detail) == expected
    assert MAX_EMAILS == 100_000


def test_a_list_has_no_bodies() -> None:
    assert listed([(1, "s", "a@b")]) == [{"id": 1, "subject": "s", "sender": "a@b"}]


@pytest.mark.parametrize("store", [SQLiteMail, PostgresMail])
def test_every_store_has_the_whole_face(store: type) -> None:
    methods = [name for name, value in vars(MailStore).items() if inspect.isfunction(value) and name[0] != "_"]
    assert len(methods) == 5
    for name in methods:
        wanted, offered = inspect.signature(getattr(MailStore, name)), inspect.signature(getattr(store, name))
        assert list(offered.parameters) == list(wanted.parameters)
