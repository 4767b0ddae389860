"""The command `clerestory`, also `python -m clerestory` and `python -m server`.

The commands that look at a running server do not import what serves: they start in a tenth of a second, also on a
machine in trouble.
"""

import sys

from clerestory.server.process.descriptors import open_standard
from clerestory.server.xray.terminal import COMMANDS


def main() -> int:
    """Run the command line; return the exit status."""
    open_standard()
    words = sys.argv[1:]
    try:
        if words and words[0] in COMMANDS:
            from clerestory.server.xray.terminal.main import main as look

            return look(words)
        if words[:1] == ["diagrams"]:
            from clerestory.diagrams.__main__ import main as draw

            return draw(words[1:])
        from clerestory.server.cli.main import main as serve

        return serve(words, parting=True)
    except KeyboardInterrupt:  # while modules are being imported
        return 130


if __name__ == "__main__":
    raise SystemExit(main())
