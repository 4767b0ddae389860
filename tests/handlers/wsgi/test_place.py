"""Where a thread stands."""

import queue
import threading

from clerestory.handlers.wsgi.place import place_of


def test_the_innermost_line_outside_of_libraries_is_named() -> None:
    go: queue.SimpleQueue[int] = queue.SimpleQueue()
    begun = threading.Event()

    def stand_here() -> None:
        begun.set()
        go.get()

    thread = threading.Thread(target=stand_here)
    thread.start()
    assert begun.wait(20)
    assert thread.ident is not None
    place = place_of(thread.ident)
    go.put(1)
    thread.join()
    assert place.startswith("wsgi/test_place.py:")
    assert place.endswith(" stand_here")


def test_a_thread_that_is_gone_stands_nowhere() -> None:
    assert place_of(0) == ""
