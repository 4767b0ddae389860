"""Which coding is chosen: RFC 9110 section 12.5.3, line by line."""

import pytest

from clerestory.handlers.edge.negotiation import choose

OFFERED = (b"zstd", b"br", b"gzip")


@pytest.mark.parametrize(
    ("accept", "coding", "identity_refused"),
    [
        (None, b"", False),
        (b"", b"", False),
        (b"gzip", b"gzip", False),
        (b"x-gzip", b"gzip", False),
        (b"GZIP;Q=1", b"gzip", False),
        (b"gzip, br, zstd", b"zstd", False),
        (b"gzip;q=1, br;q=0.9, zstd;q=0.999", b"gzip", False),
        (b"gzip;q=0.001", b"gzip", False),
        (b"gzip;q=0", b"", False),
        (b"gzip;q=0, *", b"zstd", False),
        (b"*", b"zstd", False),
        (b"*;q=0", b"", True),
        (b"*;q=0, gzip", b"gzip", True),
        (b"*;q=0, identity", b"", False),
        (b"*;q=0, identity;q=0.5, br;q=0.5", b"br", False),
        (b"identity", b"", False),
        (b"identity, gzip;q=0.5", b"", False),
        (b"identity;q=0.5, gzip;q=0.5", b"gzip", False),
        (b"identity;q=0", b"", True),
        (b"identity;q=0, gzip;q=0.1", b"gzip", True),
        (b"deflate, compress", b"", False),
        (b"gzip;q=2, br;q=x, zstd;level=1", b"", False),
        (b" , gzip ,, ", b"gzip", False),
    ],
)
def test_the_coding_and_whether_identity_is_refused(
    accept: bytes | None, coding: bytes, identity_refused: bool
) -> None:
    assert choose(accept, OFFERED) == (coding, identity_refused)


def test_nothing_is_chosen_that_is_not_offered() -> None:
    assert choose(b"br, zstd", (b"gzip",)) == (b"", False)
