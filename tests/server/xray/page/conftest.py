"""A browser for the tests of the page; those that need one skip themselves where its driver is not installed."""

from importlib.util import find_spec

import pytest

if find_spec("playwright"):
    from tests.server.xray.page.browser import browse

    browser = pytest.fixture(scope="module")(browse)
