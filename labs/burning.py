"""A computation: so many rounds of adding in Python. `python -m labs.burning ROUNDS` tells the seconds that it took."""

import sys
import time


def burn(rounds: int) -> float:
    """Compute; the seconds that it took."""
    begun = time.perf_counter()
    total = 0
    for number in range(rounds):
        total += number * number
    return time.perf_counter() - begun


def rounds_in(seconds: float) -> int:
    """How many rounds so many seconds of CPU are."""
    rounds, begun = 200_000, time.thread_time()
    burn(rounds)
    return int(rounds * seconds / (time.thread_time() - begun))


if __name__ == "__main__":
    print(burn(int(sys.argv[1])))
