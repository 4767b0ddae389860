"""The end of a listening socket without a loss: nobody new gets into the backlog while the last are being accepted.

close(2) resets the connections that were not accepted. Accepting until nobody is left, and then closing, leaves a
gap: a client that connects in it has been told by the kernel that it is connected. So the kernel first drops what asks
for a connection (SYN without ACK), by a filter on the listening socket (socket(7), SO_ATTACH_FILTER); a client whose
SYN was dropped sends it again a second later, and is refused then, or finds our successor.
"""

import ctypes
import socket
import sys
from contextlib import suppress

SO_ATTACH_FILTER = 26
"""Of <asm-generic/socket.h>; Python has no name for it."""

FLAGS = 13
"""Where the flags are in a TCP header, with which a filter's packet begins."""

SYN, ACK = 0x02, 0x10

PROGRAM = (
    (0x30, 0, 0, FLAGS),  # load that byte
    (0x54, 0, 0, SYN | ACK),  # of it, these bits
    (0x15, 0, 1, SYN),  # SYN alone?
    (0x06, 0, 0, 0),  # then keep nothing of the packet
    (0x06, 0, 0, 0xFFFFFFFF),  # else all
)
"""Classic BPF: code, jump if true, jump if false, operand."""


class _Instruction(ctypes.Structure):
    _fields_ = (
        ("code", ctypes.c_uint16),
        ("jump_true", ctypes.c_uint8),
        ("jump_false", ctypes.c_uint8),
        ("operand", ctypes.c_uint32),
    )


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_uint16), ("instructions", ctypes.POINTER(_Instruction)))


def admit_no_more(listening: socket.socket) -> bool:
    """Let nobody new into the backlog of a TCP socket. Whether that could be done: elsewhere than on Linux it cannot,
    and those who connect at the wrong moment are reset."""
    if not sys.platform.startswith("linux") or listening.family not in (socket.AF_INET, socket.AF_INET6):
        return False
    instructions = (_Instruction * len(PROGRAM))(*[_Instruction(*one) for one in PROGRAM])
    program = _Program(len(PROGRAM), instructions)
    with suppress(OSError):
        listening.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, bytes(program))
        return True
    return False
