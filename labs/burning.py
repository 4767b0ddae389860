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


if __name__ == "__main__":
    print(burn(int(sys.argv[1])))
