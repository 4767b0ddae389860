"""Makes a server that a test starts hold its own walks (tests/support/held.py): Python imports this at its start."""

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

_spec = spec_from_file_location("held", Path(__file__).parent.parent / "held.py")
assert _spec is not None
assert _spec.loader is not None
_held = sys.modules["held"] = module_from_spec(_spec)
_spec.loader.exec_module(_held)
_held.install()
