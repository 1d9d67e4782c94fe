"""Forecasts of many series: regular series in, blended forecasts with intervals out. Pure: numbers only."""
