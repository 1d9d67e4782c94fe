"""Telling other systems what runs did: each run's start and end, off the runs' way, until it was told."""
