"""Makes `python -m server` work where Clerestory is installed. The server itself is `clerestory.server`."""
