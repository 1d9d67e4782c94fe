"""The parts of ``benchmarks/warm_start.py``: streams and one search."""
