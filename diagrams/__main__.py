"""`python -m diagrams`: draw every machine, or check that what is drawn is still true."""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from diagrams.dot import to_dot
from diagrams.mermaid import to_mermaid
from diagrams.picture import Picture, picture_of
from diagrams.render import MissingExtra, png_drift, svg_drift, to_png, to_svg
from statemachines.tables import TABLES

HERE = Path(__file__).resolve().parent

DESCRIPTION = """\
Draw the state machines of the server from the tables that it runs.

Each state shows what it waits for and until when. The usual course is bold; what is lawful but less usual is grey; what
went wrong is red; where a deadline passed the line is dashed. What leads aside is listed at the foot of its state.
"""

EXAMPLES = """\
examples:
  python -m diagrams                                          every machine in every format
  python -m diagrams --machine connection --format mermaid    one text, no extra needed
  python -m diagrams --check                                  fail when a committed picture is stale

SVG and PNG need Graphviz, which comes with pip install 'clerestory[diagrams]'; nothing else is to be installed.
Exit status: 0 when all is well, 1 when --check found a stale or missing file, 2 when something was asked for in vain.
"""


def _text(make: Callable[[Picture], str]) -> Callable[[Picture], bytes]:
    return lambda picture: make(picture).encode()


def _svg(picture: Picture) -> bytes:
    return to_svg(to_dot(picture), picture.name).encode()


def _png(picture: Picture) -> bytes:
    return to_png(to_dot(picture))


def _text_drift(kept: bytes, fresh: bytes) -> str:
    return "" if kept == fresh else "its text differs"


def _svg_drift(kept: bytes, fresh: bytes) -> str:
    return svg_drift(kept.decode(errors="replace"), fresh.decode())


FORMATS: dict[str, tuple[str, Callable[[Picture], bytes], Callable[[bytes, bytes], str]]] = {
    "mermaid": (".mmd", _text(to_mermaid), _text_drift),
    "dot": (".dot", _text(to_dot), _text_drift),
    "svg": (".svg", _svg, _svg_drift),
    "png": (".png", _png, png_drift),
}
"""The ending of a format's files, what makes one, and what says how an older one differs."""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(
        prog="python -m diagrams",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("--machine", choices=TABLES, metavar="NAME", help=f"one of {', '.join(TABLES)}; without it, all")
    made.add_argument("--format", choices=[*FORMATS, "all"], default="all", help="what to make (default: all)")
    made.add_argument(
        "--output", type=Path, default=HERE, metavar="DIR", help="where the files are (default: diagrams/)"
    )
    made.add_argument(
        "--check", action="store_true", help="write nothing; fail when a file is not what would be written"
    )
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Draw or check; the exit status."""
    asked = parser().parse_args(arguments)
    machines = [asked.machine] if asked.machine else list(TABLES)
    formats = list(FORMATS) if asked.format == "all" else [asked.format]
    try:
        if asked.check:
            return _check(asked.output, machines, formats)
        asked.output.mkdir(parents=True, exist_ok=True)
        for machine in machines:
            _write(asked.output, machine, formats)
    except (MissingExtra, OSError) as error:
        print(f"python -m diagrams: {error}", file=sys.stderr)
        return 2
    return 0


def _write(folder: Path, machine: str, formats: list[str]) -> None:
    picture = picture_of(TABLES[machine])
    for kind in formats:
        ending, make, _ = FORMATS[kind]
        path = folder / (machine + ending)
        path.write_bytes(make(picture))
        print(path)


def _check(folder: Path, machines: list[str], formats: list[str]) -> int:
    stale = [f"{path}: {why}" for machine in machines for path, why in _drifts(folder, machine, formats)]
    if len(machines) == len(TABLES):
        stale += [f"{path}: there is no such machine" for path in _strays(folder, formats)]
    for line in stale:
        print(line, file=sys.stderr)
    if stale:
        print("python -m diagrams: the pictures are stale: draw them with python -m diagrams", file=sys.stderr)
        return 1
    print(f"{len(machines) * len(formats)} files in {folder} are true to the tables")
    return 0


def _drifts(folder: Path, machine: str, formats: list[str]) -> list[tuple[Path, str]]:
    """The files of a machine that are not what would be written, and why."""
    picture = picture_of(TABLES[machine])
    found = []
    for kind in formats:
        ending, make, drift = FORMATS[kind]
        path = folder / (machine + ending)
        why = drift(path.read_bytes(), make(picture)) if path.exists() else "there is no such file"
        found += [(path, why)] if why else []
    return found


def _strays(folder: Path, formats: list[str]) -> list[Path]:
    """Pictures of machines that are no more."""
    return [path for kind in formats for path in sorted(folder.glob("*" + FORMATS[kind][0])) if path.stem not in TABLES]


if __name__ == "__main__":
    sys.exit(main())
