"""A bit of everything on the event loop of lab 6: clients, standard input, a signal and a timer.

The loop runs in the thread that asks, and sleeps; a second thread plays the world outside. A pipe stands for standard
input. The signal comes by a wake-up descriptor, into which Python's own handler writes the signal's number.
"""

import os
import signal
import socket
import threading
from typing import TYPE_CHECKING

from labs.descriptors import set_timer, timer
from labs.findings import Stage
from labs.load import ask, connections

if TYPE_CHECKING:
    from labs.event_loop import Echo, EventLoop


def everything_at_once(stage: Stage, loop: "EventLoop", echo_server: "type[Echo]") -> list[str]:
    """What `loop` saw, in order. It runs in this very thread, which has to be the main one, to whom signals come."""
    seen: list[str] = []
    keyboard, typist = os.pipe()
    clock, ticked = timer(), threading.Event()
    wakened, waker = os.pipe()
    os.set_blocking(waker, False)
    names = {keyboard: "standard input", clock: "the timer", wakened: "the signal"}

    def see(descriptor: int) -> None:
        what = os.read(descriptor, 100)
        seen.append(names[descriptor])
        stage.say(f"the loop was woken by {names[descriptor]}")
        if descriptor == clock:
            ticked.set()
        if what == b"quit\n":
            for watched in list(loop.callbacks):
                loop.forget(watched)

    def world() -> None:
        """What happens outside, while the loop sleeps."""
        with connections(listener.getsockname(), 2) as clients:
            for client in clients:
                ask(client, b"hello\n")
                seen.append("a client")
                stage.say("the loop has answered a client")
            os.write(typist, b"a line, typed\n")
            os.kill(os.getpid(), signal.SIGUSR1)
            set_timer(clock, 0.05)
            ticked.wait(10)
            os.write(typist, b"quit\n")

    handler, wakeup = signal.signal(signal.SIGUSR1, lambda *_: None), signal.set_wakeup_fd(waker)
    outside = threading.Thread(target=world)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        echo = echo_server(loop, listener)
        for descriptor in names:
            loop.watch(descriptor, see)
        outside.start()
        loop.run()
        outside.join()
    for client in echo.clients.values():
        client.close()
    signal.set_wakeup_fd(wakeup)
    signal.signal(signal.SIGUSR1, handler)
    for descriptor in (typist, waker, *names):
        os.close(descriptor)
    loop.poller.close()
    return seen
