"""The road from a blocking server to state machines, each step a program that runs and is measured.

Every system and every claim of the lecture that the server comes from is a lab here: a module whose docstring tells the
story, whose code is read in five minutes, and whose `run` measures the fact that it is there to show. `python -m labs`
lists them. Nothing in this package is imported by the server.
"""
