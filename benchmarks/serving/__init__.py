"""Serving compared with its peers and with the limit, in one run on one machine: ``python -m benchmarks.serving``."""
