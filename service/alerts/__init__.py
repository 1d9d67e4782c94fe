"""Alerts: people and their programs hear of what the ledger of events holds."""
