"""Forecasts of a project's series: searched and judged in runs, made when asked for, scored when the truth comes."""
