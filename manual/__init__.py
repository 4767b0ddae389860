"""The documentation site: `python -m mkdocs build --strict`. What is made from the code is made here."""
