"""`python -m server`, and the command that an installation gives.

What looks at a running server starts without what serves: in a tenth of a second, and on a machine in trouble.
"""

import os
import sys

from server.xray.terminal import COMMANDS


def main() -> int:
    """Do what the command line says; hand back the exit status."""
    words = sys.argv[1:]
    try:
        if words and words[0] in COMMANDS:
            from server.xray.terminal.main import main as look

            name = os.path.basename(sys.argv[0])
            return look(words, "python -m server" if name == "__main__.py" else name)
        from server.cli import main as serve

        return serve(words, parting=True)
    except KeyboardInterrupt:  # while we are being imported, which takes longer than it takes to press Ctrl-C
        return 130


if __name__ == "__main__":
    raise SystemExit(main())
