"""Turns: several processes write lines to one place, and no line is cut into by another's.

A supervisor and its workers share one standard error. The kernel keeps together what is written to a pipe at once only
up to PIPE_BUF (pipe(7): 4,096 bytes), and not at all where the pipe is full; a batch of lines, or one long line, would
be cut by those of others. So each takes its turn: an fcntl(2) lock on a file in memory that all have inherited. The
kernel gives it back when its holder dies. Pipes from each worker to the supervisor would do as well, but each line
would be copied by a process that is to be idle, and none would come while that one stands still.

The file's only byte says that somebody writes. Who finds it set has had a predecessor that was killed in the middle of
a line, and begins on a new one.

Who waits for a turn is the writer's own thread (server.logging.writer): lines gather meanwhile, within its bound. A
worker that is stopped in the middle of a write holds the others' lines up until it goes on, or its supervisor ends it.
"""

import fcntl
import os

WRITING, DONE = b"!", b"."


class Turns:
    """The turns of those who have inherited the file `descriptor`."""

    def __init__(self, descriptor: int) -> None:
        os.set_inheritable(descriptor, False)
        self.descriptor = descriptor

    def take(self) -> bool:
        """Wait for our turn; whether the last one was cut short, so that a new line is to be begun."""
        try:
            fcntl.lockf(self.descriptor, fcntl.LOCK_EX)
            torn = os.pread(self.descriptor, 1, 0) == WRITING
            os.pwrite(self.descriptor, WRITING, 0)
        except OSError:  # somebody has closed it: better lines that may mix than none
            return False
        return torn

    def give(self, *, whole: bool) -> None:
        """Our turn is over; `whole` if we end at the end of a line."""
        try:
            if whole:
                os.pwrite(self.descriptor, DONE, 0)
            fcntl.lockf(self.descriptor, fcntl.LOCK_UN)
        except OSError:
            pass

    def close(self) -> None:
        """Give the file back."""
        os.close(self.descriptor)


def make_turns() -> Turns | None:
    """Turns for this process and those that will inherit them; None where the system has no files in memory."""
    if not hasattr(os, "memfd_create"):
        return None
    try:
        return Turns(os.memfd_create("clerestory turns"))
    except OSError:
        return None
