"""The x-ray: what every connection waits for, since when, until when, and how it got there; always on.

    cut        what is copied of a loop's machines between two of its turns, or from outside while it is blocked
    snapshot   a cut put into words: pure
    shape      the JSON of it: the contract with the page and the terminal
    recorder   how connections ended; exports and replay of a recording
    site       the endpoints, served by a loop of their own on a thread of their own

The laws:

- the loop that is looked at only copies references, for a few milliseconds at 10,000 connections; words, filters and
  JSON are made on the x-ray's thread;
- counts are derived from the machines;
- nothing here can change a connection but `CLOSE_ORDERED`, fired on the loop's own thread, logged;
- query strings and credentials are shown to nobody who has not asked for them with the token.
"""
