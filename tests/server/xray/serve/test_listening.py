"""The x-ray's listeners: most of it is in test_thread and test_room; here, the door."""

import os

import pytest

from clerestory.server.net.door import Inside, door
from clerestory.server.net.sockets import listen
from clerestory.server.xray.serve.listening import RESERVE, DoorListener, ReservingListener
from tests.server.support import bench_of, hello

pytestmark = pytest.mark.usefixtures("every_descriptor_back")


def test_descriptors_are_put_by_and_given_back() -> None:
    with bench_of(hello) as bench:
        listener = ReservingListener(bench.service, listen("127.0.0.1", 0), lambda _: True)
        bench.loop.add(listener)
        before = len(os.listdir("/proc/self/fd"))
        assert len(listener._kept) == RESERVE
        listener.close()
        assert len(os.listdir("/proc/self/fd")) == before - RESERVE - 2
        del bench.loop.machines[listener.descriptor]


def test_behind_a_door_connections_are_accepted_until_the_supervisor_has_gone() -> None:
    outside, theirs = door()
    with bench_of(hello) as bench:
        listener = DoorListener(bench.service, Inside.at(theirs.detach()), lambda _: True)
        bench.loop.add(listener)
        with outside.connect() as client:
            client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            bench.settle()
            assert client.recv(65536).endswith(b"hello")
        outside.close()
        bench.settle()
        assert listener.node.final
        assert "listener_lost" not in bench.logs.take()
