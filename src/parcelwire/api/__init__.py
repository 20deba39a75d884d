"""HTTP in: the 17TRACK wire API, and the owner's own entrance."""
