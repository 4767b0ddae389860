"""A thousand messages for trying things: always the same ones, and no lorem ipsum."""

from typing import NamedTuple

COUNT = 1000
GREETED = 42

PEOPLE = (
    "Ada",
    "Alan",
    "Barbara",
    "Claude",
    "Donald",
    "Edsger",
    "Frances",
    "Grace",
    "Hedy",
    "Joan",
    "Katherine",
    "Ken",
)
"""The senders. The numbers of greetings and subjects below are prime, so that combinations seldom repeat."""

INBOXES: tuple[tuple[str, int], ...] = (*((name.lower(), 100) for name in PEOPLE), ("tiny", 3))
"""Recipients, and the capacity of their inboxes; `tiny` is for filling up."""

_GREETINGS = (
    "Good morning,",
    "Dear all,",
    "Hello,",
    "Just a short note:",
    "You asked, so here it is.",
    "A small thing,",
    "Hi,",
)

_THEMES = (
    ("the library at night", "They leave the high windows open now, and the reading room stays cool until noon."),
    ("on waiting", "I counted: of an hour's work the machine waits fifty-eight minutes. It waits very patiently."),
    ("bread", "The second loaf rose over the rim. I have kept you the heel, since you like it."),
    ("the 17:42", "It was late again, so I finished the chapter. The ending is better than the platform."),
    ("a moth", "We found what stopped the relay. It is taped into the log book, with its date."),
    ("chess by post", "Knight to f3. Take your time; the stamp was dearer than the move."),
    ("rain on Thursday", "Bring the large umbrella: we will walk back along the canal whatever it does."),
    ("tea", "The tin with the dented lid is the good one. Four minutes, not three."),
    ("your lecture", "The part with the nine states drew itself in my head on the way home. More pictures like that."),
    ("the cat", "She sleeps on the warm rack, and has opinions about the fan. The uptime is hers, really."),
    ("a bug, found", "It was the second byte. It is always the second byte. Thank you for not saying so."),
    ("harvest", "Eleven jars of plum, two of quince. Write which you want before the children come."),
    ("the slow queue", "Nobody jumped it, so it moved. I should like to see that proved some day."),
    ("letters", "I like that one can read them twice, and that they say who wrote them."),
    ("choir", "We are short of a second alto until March. You need not read music, only arrive."),
    ("a star", "Look south at ten: the bright one does not flicker, so it is a planet. I had it wrong for years."),
    ("the bicycle", "New chain, old brakes. It goes better than it stops, so begin with a hill."),
    ("proofs", "Page 31 claims that the empty case is obvious. It took me an afternoon to see that it is."),
    ("the garden gate", "It swings by itself again. Lift it as you close it, then it remembers."),
    ("holidays", "The house by the lake has no connection at all. We have booked it for two weeks."),
    ("an old program", "It still runs. Nobody knows why it waits a second before it answers; nobody dares to ask."),
    ("soup", "Onions first, and longer than you think. All the rest is patience and salt."),
    ("the map", "I marked the bench with the view. From there you see both rivers and no road."),
)

_CLOSINGS = ("Yours,", "More soon,", "With thanks,", "Until Friday,", "Warmly,")


class Sample(NamedTuple):
    """One message."""

    number: int
    sender: str
    subject: str
    body: str


def samples() -> list[Sample]:
    """All of them, numbered from 1."""
    return [_sample(number) for number in range(1, COUNT + 1)]


def _sample(number: int) -> Sample:
    name = PEOPLE[number * 5 % len(PEOPLE)]
    subject, text = _THEMES[number % len(_THEMES)]
    greeting = _GREETINGS[number % len(_GREETINGS)]
    closing = _CLOSINGS[number % len(_CLOSINGS)]
    if number == GREETED:
        subject, greeting = "hello", "Hello!"
        text = "You have found message 42. The others are good, too, but this one was waiting for you."
    return Sample(number, f"{name.lower()}@example.org", subject, f"{greeting}\n\n{text}\n\n{closing}\n{name}\n")
