"""Proof: the machines together, explored exhaustively from the tables that run.

    python -m proof              every world, by our own explorer and by Spin, which must agree
    python -m proof --quick      the small worlds, by the explorer alone: some seconds
    python -m proof mutants      faults made automatically in the tables: how many are found
    python -m proof report       both, into docs/proof.md

What each table promises by itself is checked by statemachines.checks. Here machines run *together*: a client's
connection, what it waits for, and what that waits for in turn, in a world that does anything: clients and upstreams
that send, stall, close, reset and lie, threads that end when they like, a clock that lets any deadline pass at any
moment. Two checkers that share nothing but the worlds' descriptions must agree, down to the number of states.
"""
