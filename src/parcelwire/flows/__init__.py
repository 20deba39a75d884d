"""Use cases. Each is a sandwich: load (store), decide (domain, pure), save. No I/O of their own."""
