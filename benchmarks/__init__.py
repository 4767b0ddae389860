"""What measures: `python -m benchmarks [SUITE]`. Starts servers as processes; nothing imports it.

The laws of a figure here:

- it is written by the run that measured it, together with the machine's particulars; none is typed by hand;
- it is a median over rounds that are interleaved, and stands beside its spread;
- before a server is measured, its answers are compared with what they must be, byte by byte;
- the load is bounded in connections and in time, stays on the loopback, and has a CPU of its own.
"""
