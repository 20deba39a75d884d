"""What runs by itself. Every loop takes its time from the injected clock and survives what one row does."""
