"""The parts of ``benchmarks/search.py``: data sets, contestants, the table."""
