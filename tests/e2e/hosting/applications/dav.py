"""WsgiDAV, over the directory that the environment variable DAV_ROOT names; every client may write."""

import os

from wsgidav.wsgidav_app import WsgiDAVApp  # type: ignore[import-untyped, import-not-found, unused-ignore]

app = WsgiDAVApp(
    {
        "provider_mapping": {"/": os.environ["DAV_ROOT"]},
        "simple_dc": {"user_mapping": {"*": True}},
        "verbose": 0,
        "logging": {"enable": False},
        "lock_storage": True,
        "property_manager": True,
    }
)
