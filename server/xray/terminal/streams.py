"""Where a command prints, and whom it asks."""

from contextlib import suppress
from typing import TextIO

from clerestory.server.loop.poller import READABLE
from clerestory.server.xray.terminal.text import bare, fold, style_of
from clerestory.server.xray.terminal.waits import Waits


class Streams:
    """Where a command prints; `say` is for what is no row."""

    def __init__(self, out: TextIO, err: TextIO, keys: TextIO, waits: Waits | None = None) -> None:
        self.out = out
        self.err = err
        self.keys = keys
        self.waits = waits or Waits()
        self.style = style_of(out)

    def put(self, *lines: str) -> None:
        """Lines that were asked for."""
        self.out.write("".join(f"{line}\n" for line in lines))

    def say(self, text: str, colour: str = "") -> None:
        """A line that should be known besides. What was put before it is seen before it."""
        self.out.flush()
        style = style_of(self.err)
        for line in fold(bare(text), style.width or 10_000, "  "):
            self.err.write(style.paint(line, colour) + "\n")
        self.err.flush()

    def complain(self, text: str) -> None:
        """What cannot be done, and what to do, which may take several lines."""
        self.out.flush()
        lines = "\n".join(bare(line) for line in text.split("\n"))
        self.err.write(f"clerestory: {lines}\n")
        self.err.flush()

    def ask(self, question: str) -> bool:
        """Whether somebody at a terminal says yes."""
        self.out.flush()
        self.err.write(f"{bare(question)} [y/N] ")
        self.err.flush()
        if self.keys.isatty():  # a terminal is readable when a whole line is there
            with suppress(OSError):
                while not self.waits.wait(self.keys.fileno(), READABLE, None):
                    pass
        return self.keys.readline().strip().lower() in ("y", "yes")
