"""`python -m server`: the same as the command `clerestory`."""

import sys

from clerestory.__main__ import main

if __name__ == "__main__":
    sys.modules.pop("server", None)  # an application may have a `server` of its own
    raise SystemExit(main())
