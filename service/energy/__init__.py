"""What searching and serving cost in energy, measured where the hardware tells and estimated where not."""
