"""Series and peers for benchmarks/forecasting.py."""
