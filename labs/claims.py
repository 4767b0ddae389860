"""What the lecture claims, sentence by sentence, in the order in which it comes to them.

A lab that has measured something of a claim hands back a `labs.findings.Claim` under its key; the report has a line for
every key here, and says so where nothing was measured.
"""

from typing import Final

CLAIMS: Final[dict[str, str]] = {
    "one-client": "A blocking server serves one client at a time.",
    "pool-bound": "A pool bounds the clients by its threads.",
    "stacks-40-gb": "5,000 threads at 8 MB a stack are 40 GB.",
    "switches": "Each blocking call costs a context switch, and with many I/O-bound threads switching is a significant "
    "share of the CPU time.",
    "eagain": "A non-blocking read returns EAGAIN, and one thread can serve many.",
    "busy-polling": "Without a wait it burns 100 % CPU doing nothing.",
    "epoll-sleeps": "epoll sleeps until something is ready.",
    "no-switches": "An event loop has no switches between clients and a minuscule cost for each connection.",
    "ten-thousand": "One thread holds 10,000 connections and more.",
    "any-descriptor": "Any kind of descriptor fits the same loop.",
    "machine-remembers": "What a stack remembers must be kept by hand, and a machine for each descriptor does it.",
    "platforms": "Interfaces and their details differ by platform.",
    "starvation": "A firehose client starves the others.",
    "herd": "A thundering herd wakes everyone for one connection.",
    "coroutines": "Coroutines read like threaded code and compile to a state machine.",
    "cpu-bound": "Asynchronous I/O does not help CPU-bound work.",
}
