"""The suites: each measures one thing and hands back a report."""
