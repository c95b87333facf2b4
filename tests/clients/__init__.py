"""Clients that people use, as they come from PyPI, with this package beneath: tox -e clients."""
