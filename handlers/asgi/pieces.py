"""Pieces of an answer that the connection has not taken: bytes and files, in order."""

from clerestory.handlers.api.messages import File


def next_of(output: list[bytes | File]) -> bytes | File:
    """Take the next piece out: what has gathered, up to a file."""
    if len(output) == 1 or isinstance(output[0], File):
        return output.pop(0)
    count = next((place for place, one in enumerate(output) if isinstance(one, File)), len(output))
    piece = b"".join(output[:count])  # type: ignore[arg-type]
    del output[:count]
    return piece


def shortened(piece: bytes | File, size: int) -> bytes | File:
    """The first `size` bytes of a piece."""
    if isinstance(piece, File):
        piece.count = size
        return piece
    return piece[:size]


def discard(output: list[bytes | File]) -> None:
    """Nobody takes them: their files are closed."""
    for piece in output:
        if isinstance(piece, File):
            piece.close()
    output.clear()
