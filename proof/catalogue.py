"""Which worlds are explored, and how large: what is quick runs in ./check, the rest by `python -m proof`."""

from proof.world import World
from proof.worlds.conversations import conversations
from proof.worlds.database import database
from proof.worlds.gateway import gateway
from proof.worlds.health import health
from proof.worlds.hosted import hosted
from proof.worlds.multiplexed import multiplexed
from proof.worlds.names import names
from proof.worlds.process import draining
from proof.worlds.threads import threads
from proof.worlds.tunnels import tunnels
from proof.worlds.workers import workers


def quick() -> list[World]:
    """The small worlds: some seconds together."""
    return [
        threads(1),
        draining(1, 1, 1, 1),
        database(1, 1, 1),
        gateway(1, 0, 0),
        names(1),
        tunnels(),
        conversations(),
        hosted(1, 1, 2),
        health(),
        multiplexed(1, 1),
        workers(1, 2, reloads=0),
        workers(1, 3, wishes=0, watches=True),
    ]


def full() -> list[World]:
    """Every world, in the size that is published: some minutes together."""
    return [
        threads(2),
        draining(2, 1, 2, 2),
        database(1, 2, 1),
        database(2, 1, 1),
        gateway(1, 1, 1),
        gateway(2, 0, 0),
        names(2),
        tunnels(),
        conversations(3),
        hosted(1, 1, 2),
        hosted(2, 0, 0),
        health(2, 1),
        health(1, 2),
        multiplexed(1, 2, 1, 2),
        multiplexed(2, 2, 1, 2),
        workers(1, 3, wishes=0, watches=True),
        workers(1, 3),
        workers(1, 3, reloads=2, faults=0, wishes=0),
        workers(2, 4, faults=0, wishes=0),
    ]


def for_mutants() -> list[World]:
    """Worlds that are small enough to be explored some hundred times."""
    return [
        draining(1, 1, 1, 1),
        database(1, 2, 1),
        gateway(1, 1, 1),
        threads(2),
        names(1),
        tunnels(),
        conversations(),
        hosted(1, 1, 2),
        health(),
        multiplexed(1, 1),
        workers(1, 2, reloads=0),
    ]
