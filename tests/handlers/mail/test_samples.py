"""The samples are always the same, and a pleasure to read."""

from clerestory.handlers.mail.samples import COUNT, INBOXES, samples
from clerestory.handlers.mail.site import MAX_LENGTHS, take_text


def test_there_are_a_thousand_numbered_from_one() -> None:
    assert COUNT == 1000
    assert [sample.number for sample in samples()] == list(range(1, 1001))


def test_they_are_always_the_same() -> None:
    assert samples() == samples()


def test_the_forty_second_greets() -> None:
    sample = samples()[41]
    assert (sample.number, sample.subject, sample.sender) == (42, "hello", "frances@example.org")
    assert sample.body.startswith("Hello!\n\nYou have found message 42.")
    assert sample.body.endswith("\nFrances\n")


def test_each_could_have_been_posted() -> None:
    for sample in samples():
        for name in MAX_LENGTHS:
            assert take_text(sample._asdict(), name)


def test_they_differ() -> None:
    assert len({sample.body for sample in samples()}) > 900
    assert len({sample.subject for sample in samples()}) == 24


def test_everybody_who_writes_has_an_inbox_and_one_is_tiny() -> None:
    capacities = dict(INBOXES)
    assert {sample.sender.partition("@")[0] for sample in samples()} < set(capacities)
    assert capacities["tiny"] == 3
