"""What a shipment is. Standard library only: no I/O, no clock, no environment."""
