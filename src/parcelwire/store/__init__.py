"""State on disk. Plain SQL; one conformance suite (tests/store) that every implementation must pass."""
