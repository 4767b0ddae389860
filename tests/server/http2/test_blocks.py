"""Field blocks that repeat are read and written once, and mean what they would mean if they were each time."""

from collections.abc import Iterable

from hpack import Decoder, Encoder
from hypothesis import given
from hypothesis import strategies as st

from clerestory.server.http2.blocks import KEPT, LONGEST, Fields, Read, Table, Written

Block = tuple[tuple[bytes, bytes], ...]

names = st.sampled_from([b":status", b"content-type", b"x-a", b"x-b", b"date"])
values = st.sampled_from([b"200", b"404", b"text/plain", b"1", b"2", b"z" * 40])
blocks = st.lists(st.tuples(names, values), max_size=4).map(tuple)


class Counted:
    """A function that counts how often it is called."""

    def __init__(self, function: object) -> None:
        self.function = function
        self.calls = 0

    def __call__(self, given: object) -> object:
        self.calls += 1
        return self.function(given)  # type: ignore[operator]


def written() -> tuple[Written, Counted, Encoder]:
    encoder = Encoder()
    encoder.header_table = table = Table()
    encode = Counted(encoder.encode)
    return Written(table, encode), encode, encoder  # type: ignore[arg-type]


def read() -> tuple[Read, Counted]:
    decoder = Decoder()
    decoder.header_table = table = Table()
    decode = Counted(lambda block: decoder.decode(block, raw=True))
    return Read(table, decode), decode  # type: ignore[arg-type]


def plain(fields: Iterable[tuple[bytes, bytes]]) -> Block:
    return tuple((bytes(name), bytes(value)) for name, value in fields)


@given(st.lists(st.one_of(blocks, st.sampled_from([0, 40, 120, 4096])), max_size=40))
def test_what_is_remembered_is_what_would_be_written_and_read(steps: list[Block | int]) -> None:
    ours, _, encoder = written()
    theirs, _ = read()
    reference, check = Encoder(), Decoder()
    reference.header_table = Table()
    for step in steps:
        if isinstance(step, int):
            encoder.header_table_size = reference.header_table_size = step
            continue
        block = ours.block(step)
        assert block == reference.encode(step)
        assert plain(theirs.fields(block)) == step
        assert plain(check.decode(block, raw=True)) == step


def test_one_that_changes_nothing_is_written_and_read_once_until_another_changes_the_table() -> None:
    ours, encode, _ = written()
    theirs, decode = read()
    fields = ((b":status", b"200"), (b"x-a", b"1"))
    found: list[Fields] = [theirs.fields(ours.block(fields)) for _ in range(10)]
    assert (encode.calls, decode.calls) == (2, 2), "the first changes the table"
    assert found[9] is found[8] is found[1]
    theirs.fields(ours.block(((b"x-a", b"2"),)))
    again = [theirs.fields(ours.block(fields)) for _ in range(10)]
    assert (encode.calls, decode.calls) == (4, 4)
    assert again[9] is not found[9]


def test_so_many_are_remembered_and_none_that_is_long() -> None:
    ours, encode, _ = written()
    many = [((b"x-a", b"%d" % number),) for number in range(KEPT + 1)]
    for fields in [*many, *many, *many[1:], many[0]]:
        ours.block(fields)
    assert encode.calls == 2 * len(many) + KEPT, "all are forgotten where there is one more"
    ours, encode, encoder = written()
    encoder.header_table_size = 0
    for size in (LONGEST - 10, LONGEST + 10):
        fields = ((b"x-a", b"\xff" * (size // 3)),)
        ours.block(fields)
        before = encode.calls
        length = len(ours.block(fields))
        assert (encode.calls == before) is (length <= LONGEST)


def test_what_is_no_tuple_is_not_remembered() -> None:
    ours, encode, _ = written()
    for _ in range(5):
        ours.block([(b":status", b"200")])
    assert encode.calls == 5
